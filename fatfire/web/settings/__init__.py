"""The pages of what a person and a household set: by topic, a tab each."""
