"""GPT-Neo, and its size in closed form."""
