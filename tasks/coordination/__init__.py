"""What processes share through Redis: budgets, circuits, and the mended broker transport."""
