"""From seeds to pictures: solvers, per-picture seeding and writing to disk."""
