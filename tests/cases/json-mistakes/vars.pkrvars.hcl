memory = "4096"
