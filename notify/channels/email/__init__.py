"""E-mail: compose a message, and the providers that carry it."""
