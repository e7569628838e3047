"""The side of the models: endpoints, and the pools of connections to them."""
