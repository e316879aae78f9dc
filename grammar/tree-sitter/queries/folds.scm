[
  (block)
  (list)
  (args)
  (map)
  (paren)
  (heredoc)
] @fold
