"""Client sessions of the market feed: who wants what, in whose words, when it is sent. No sockets."""
