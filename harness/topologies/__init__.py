"""How the steps of a saga follow each other. Each topology is compiled from the saga definition, one file each."""
