"""One worker: one version of one model behind HTTP."""
