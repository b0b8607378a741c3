-- server_address: where the server listens to which this line leads; null: on a socket
select inet_server_addr() as address, inet_server_port() as port
