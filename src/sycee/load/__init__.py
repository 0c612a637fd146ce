"""Load of a server: presigned payments, offered at a stated rate, with latencies from their due times."""
