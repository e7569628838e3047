"""From data to a registered version: snapshots, evaluations, the gate, the versioned folder."""
