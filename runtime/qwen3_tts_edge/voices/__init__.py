"""Who speaks: named, designed and cloned voices, and how a clone is made."""
