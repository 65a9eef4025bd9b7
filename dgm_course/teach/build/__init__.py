"""From a master notebook to the one that is handed out."""
