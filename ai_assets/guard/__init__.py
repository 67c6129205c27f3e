"""What stands between an eager orchestrator and a bill: circuit breaker, then rate limit, then token budget."""
