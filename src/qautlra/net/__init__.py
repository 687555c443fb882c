"""Every door of the process: WebSocket, REST, operations and the page, on every configured port."""
