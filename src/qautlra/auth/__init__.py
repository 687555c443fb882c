"""Who may do what: users and their accounts, passwords, tokens, limits, the audit log. No HTTP in here."""
