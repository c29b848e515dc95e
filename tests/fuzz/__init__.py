"""Files of others, damaged in every way: each reader ends well or in one clear error."""
