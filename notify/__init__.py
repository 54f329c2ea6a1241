"""notify: self-hosted notification infrastructure for Python teams."""
