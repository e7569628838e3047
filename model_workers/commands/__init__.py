"""The command ``model-worker``, a module for each group of its words."""
