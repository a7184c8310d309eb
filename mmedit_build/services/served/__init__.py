"""Chat models behind OpenAI-compatible servers: requests, replies, what is kept and what it costs."""
