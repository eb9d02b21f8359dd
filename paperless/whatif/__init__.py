"""What if: what D1 would be if some conditions were better, exactly, application by application, at once."""
