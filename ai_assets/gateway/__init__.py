"""The HTTP and WebSocket face: events in, results and news out. For `ai-assets gateway` alone; knows no Dagster."""
