-- What a person does, in the order in which one does it. Each step waits for its effect; the buffers are written at the
-- end, and what was shown goes to `seen.txt`.

local seen = {}
local function see(what, text)
  for line in (text .. '\n'):gmatch('([^\n]*)\n') do
    table.insert(seen, what .. ': ' .. line)
  end
end

local function wait(what, is_so)
  if not vim.wait(10000, is_so, 10) then
    error(what .. ' did not happen')
  end
end

-- Puts the cursor on a text.
local function go(text)
  assert(vim.fn.search('\\V' .. text, 'cw') > 0, text)
end

local function lines(buffer)
  return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), '\n')
end

local function float()
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= '' then
      return window
    end
  end
end

local function steps()
  vim.cmd('edit mine.imgspec')
  local mine = vim.api.nvim_get_current_buf()

  wait('a diagnostic', function() return #vim.diagnostic.get(mine) > 0 end)
  for _, found in ipairs(vim.diagnostic.get(mine)) do
    see('diagnostic', ('%d:%d %s'):format(found.lnum + 1, found.col + 1, found.message))
  end

  go('extra_rpm')
  vim.ui.select = function(items, options, choose)
    see('fix', options.format_item and options.format_item(items[1]) or items[1].title)
    choose(items[1], 1)
  end
  vim.lsp.buf.code_action()
  wait('the fix', function() return lines(mine):find('extra_rpms', 1, true) end)
  wait('the end of the diagnostic', function() return #vim.diagnostic.get(mine) == 0 end)

  go('kubernetes_semver')
  vim.lsp.buf.hover()
  wait('the hover', float)
  see('hover', lines(vim.api.nvim_win_get_buf(float())))
  vim.api.nvim_win_close(float(), true)

  vim.api.nvim_buf_set_lines(mine, 4, 5, false, { '    memory   =   4096', '    headless = ' })
  vim.api.nvim_win_set_cursor(0, { 6, 15 })
  vim.cmd('startinsert!')
  local items = {}
  for _, answer in pairs(vim.lsp.buf_request_sync(mine, 'textDocument/completion', vim.lsp.util.make_position_params(), 5000)) do
    items = vim.lsp.util.extract_completion_items(answer.result)
  end
  see('completion', items[1].label .. ' ' .. items[2].label)
  vim.cmd('stopinsert')
  vim.api.nvim_buf_set_lines(mine, 5, 6, false, { '    headless = ' .. items[1].label })

  go('base {')
  vim.lsp.buf.rename('ground')
  wait('the new name', function() return lines(mine):find('photon-3, ground {', 1, true) end)

  if vim.lsp.buf.format then vim.lsp.buf.format() else vim.lsp.buf.formatting_sync() end
  wait('the style', function() return lines(mine):find('memory = 4096', 1, true) end)

  go('kubernetes_semver')
  vim.lsp.buf.definition()
  wait('the jump', function() return vim.api.nvim_get_current_buf() ~= mine end)
  see('definition', vim.fn.expand('%:t') .. ': ' .. vim.api.nvim_get_current_line())
  vim.cmd('buffer ' .. mine)
  vim.cmd('silent wall')
end

local is_fine, problem = xpcall(steps, debug.traceback)
if not is_fine then
  see('problem', tostring(problem))
end
vim.fn.writefile(seen, 'seen.txt')
vim.cmd('qall!')
