"""Results for people and programs: one small file per format."""
