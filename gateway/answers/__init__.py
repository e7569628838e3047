"""What comes of a request: what an answer says, and what is done if there is no good one. Pure."""
