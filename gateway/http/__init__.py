"""HTTP/1.1 as values: heads, fields, targets, chunks, and the answers the gateway makes itself."""
