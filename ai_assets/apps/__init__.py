"""The AI apps: one file an app, its prompt, its answer's schema, its subject and references."""
