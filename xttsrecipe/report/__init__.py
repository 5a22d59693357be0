"""How problems, plans, checkpoints and progress look. Turns data into text; decides nothing and reads no checkpoint."""
