; The word that ends a heredoc says what stands in it.
((heredoc (heredoc_begin) @_word (heredoc_chunk) @injection.content)
  (#match? @_word "TOML")
  (#set! injection.language "toml")
  (#set! injection.combined))
