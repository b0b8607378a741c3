-- session_facts: returns whether the server is a standby, whether this session allows only reads, and address and port
-- of the server's end of the connection; null for a Unix socket.
select pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only') = 'on' as is_read_only,
       inet_server_addr() as address,
       inet_server_port() as port
