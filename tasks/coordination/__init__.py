"""What all workers share through Redis: a source's budget, its circuit, the names of keys."""
