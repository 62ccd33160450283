"""The addresses of the service: each module validates, calls one function and converts."""
