"""ConfigurableResources over the core's classes, so that limits show in the launchpad. Secrets and addresses do not."""
