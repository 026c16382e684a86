"""The paper's own tables and figures, with its printed numbers beside ours."""
