"""What `import notify` offers where a mail goes out: `notify.consent`, `notify.verification`."""
