-- server_encoding: returns the encoding in which the database stores texts.
select current_setting('server_encoding') as encoding
