"""What a session of a client is made of, without sockets."""
