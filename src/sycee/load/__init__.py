"""Load of a server: payments signed beforehand, offered at a stated rate, with latencies from their due times."""
