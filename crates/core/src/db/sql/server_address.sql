-- server_address: returns address and port of the server's end of this connection; null for a Unix socket.
select inet_server_addr() as address, inet_server_port() as port
