"""The side of the clients: connections, their requests, and the exchange with a worker."""
