"""Every capability that the language server announces, driven by pytest-lsp as several editors, and the life cycle.

What breaks the specification, given what an editor says that it can do, is an error here: pytest-lsp warns of it.
`IMGSPEC` names the program.
"""

import asyncio
import json
import os
import pathlib
import subprocess

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

IMGSPEC = os.environ["IMGSPEC"]

BASE = """\
# Was für alle gilt 😀.
layer base {
    extra_rpms = ["nfs-utils"]
    memory = 8192
}
"""

MINE = """\
include "base.imgspec"
include "vars.json" as vars

image mine extends node-ova-local-photon-3, base, vars {
    memory = 8192
    extra_rpms += ["ü😀"] # jq
    kubernetes_semver = "v1.24.1"
    ansible {
        list = join(["a"], ",")
    }
    extra_deb   =  ["jq"]
}
"""

VARS = '{ "cpu": "2" }\n'

# The methods of each field of ServerCapabilities.
METHODS = {
    "position_encoding": {"textDocument/didChange"},
    "text_document_sync": {"textDocument/didOpen", "textDocument/didChange", "textDocument/didClose"},
    "hover_provider": {"textDocument/hover"},
    "completion_provider": {"textDocument/completion", "completionItem/resolve"},
    "signature_help_provider": {"textDocument/signatureHelp"},
    "definition_provider": {"textDocument/definition"},
    "references_provider": {"textDocument/references"},
    "rename_provider": {"textDocument/prepareRename", "textDocument/rename"},
    "document_symbol_provider": {"textDocument/documentSymbol"},
    "workspace_symbol_provider": {"workspace/symbol"},
    "document_link_provider": {"textDocument/documentLink"},
    "folding_range_provider": {"textDocument/foldingRange"},
    "inlay_hint_provider": {"textDocument/inlayHint"},
    "semantic_tokens_provider": {
        "textDocument/semanticTokens/full",
        "textDocument/semanticTokens/full/delta",
        "textDocument/semanticTokens/range",
    },
    "document_highlight_provider": {"textDocument/documentHighlight"},
    "selection_range_provider": {"textDocument/selectionRange"},
    "linked_editing_range_provider": {"textDocument/linkedEditingRange"},
    "code_lens_provider": {"textDocument/codeLens", "codeLens/resolve"},
    "type_hierarchy_provider": {
        "textDocument/prepareTypeHierarchy",
        "typeHierarchy/supertypes",
        "typeHierarchy/subtypes",
    },
    "call_hierarchy_provider": {
        "textDocument/prepareCallHierarchy",
        "callHierarchy/incomingCalls",
        "callHierarchy/outgoingCalls",
    },
    "document_formatting_provider": {"textDocument/formatting"},
    "document_range_formatting_provider": {"textDocument/rangeFormatting"},
    "code_action_provider": {"textDocument/codeAction"},
    "workspace": {"workspace/didChangeWorkspaceFolders", "workspace/willRenameFiles"},
}

# The methods that the tests used, by editor.
driven: dict[str, set[str]] = {}


class Editor:
    """A client with a folder and one open file."""

    def __init__(self, client: LanguageClient, name: str, root: pathlib.Path):
        self.client, self.name, self.root = client, name, root
        self.announced: types.ServerCapabilities = types.ServerCapabilities()
        self.file = "mine.imgspec"
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def uri(self, file: str | None = None) -> str:
        return (self.root / (file or self.file)).as_uri()

    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri())

    async def ask(self, method: str, params):
        driven.setdefault(self.name, set()).add(method)
        return await self.client.protocol.send_request_async(method, params)

    def tell(self, method: str, params):
        driven.setdefault(self.name, set()).add(method)
        self.client.protocol.notify(method, params)

    async def open(self, file: str, language: str = "imgspec"):
        self.file = file
        self.texts[file] = (self.root / file).read_text()
        self.versions[file] = 1
        item = types.TextDocumentItem(self.uri(), language, 1, self.texts[file])
        self.tell("textDocument/didOpen", types.DidOpenTextDocumentParams(item))
        return await self.found(lambda found: found.version == 1)

    async def change(self, old: str, new: str):
        """Replaces a text, and waits for the diagnostics."""
        start, end = self.place(old, behind=False), self.place(old)
        self.texts[self.file] = self.texts[self.file].replace(old, new, 1)
        self.versions[self.file] += 1
        version = self.versions[self.file]
        self.tell(
            "textDocument/didChange",
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version, self.uri()),
                [types.TextDocumentContentChangePartial(types.Range(start, end), new)],
            ),
        )
        return await self.found(lambda found: found.version == version)

    async def found(self, is_right, file: str | None = None):
        """Waits for diagnostics of a file with a property."""
        known = self.client.found
        async with asyncio.timeout(10):
            while not (self.uri(file) in known and is_right(known[self.uri(file)])):
                self.client.news.clear()
                await self.client.news.wait()
        return known[self.uri(file)].diagnostics

    def width(self, text: str) -> int:
        is_utf8 = self.announced.position_encoding == types.PositionEncodingKind.Utf8
        return len(text.encode("utf-8")) if is_utf8 else len(text.encode("utf-16-le")) // 2

    def place(self, text: str, behind: bool = True) -> types.Position:
        """The position of the end of a text, or of its beginning."""
        whole = self.texts[self.file]
        at = whole.index(text) + (len(text) if behind else 0)
        lines = whole[:at].split("\n")
        return types.Position(len(lines) - 1, self.width(lines[-1]))

    def range(self, text: str) -> types.Range:
        return types.Range(self.place(text, behind=False), self.place(text))

    def everything(self) -> types.Range:
        return types.Range(types.Position(0, 0), types.Position(99, 0))

    def at(self, text: str, kind=types.HoverParams, **more):
        return kind(text_document=self.document(), position=self.place(text), **more)

    def apply(self, edits) -> str:
        """The open text after edits."""
        lines = self.texts[self.file].split("\n")

        def offset(position: types.Position) -> int:
            before = sum(len(line) + 1 for line in lines[: position.line])
            if position.line >= len(lines):
                return len(self.texts[self.file])
            line = lines[position.line]
            return before + next((i for i in range(len(line) + 1) if self.width(line[:i]) == position.character), len(line))

        text = self.texts[self.file]
        for edit in sorted(edits, key=lambda e: offset(e.range.start), reverse=True):
            text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
        return text


def make_client() -> LanguageClient:
    """A client that keeps the diagnostics of files, with the versions."""
    client = LanguageClient(converter_factory=default_converter)
    client.found, client.news, client.registered = {}, asyncio.Event(), []

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def publish(found: types.PublishDiagnosticsParams):
        client.found[found.uri] = found
        client.news.set()

    @client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(params: types.RegistrationParams):
        client.registered.extend(params.registrations)

    return client


EDITORS = ["visual-studio-code", "neovim@v0.7.0", "neovim@v0.11.0", "emacs"]


@pytest_lsp.fixture(
    params=EDITORS, config=ClientServerConfig(server_command=[IMGSPEC, "lsp"], client_factory=make_client)
)
async def lsp(request, lsp_client: LanguageClient, tmp_path: pathlib.Path):
    (tmp_path / "imgspec.toml").write_text("")
    (tmp_path / "base.imgspec").write_text(BASE)
    (tmp_path / "mine.imgspec").write_text(MINE)
    (tmp_path / "vars.json").write_text(VARS)
    lsp_client.editor = editor = Editor(lsp_client, request.param, tmp_path)
    result = await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            workspace_folders=[types.WorkspaceFolder(tmp_path.as_uri(), "folder")],
        )
    )
    editor.announced = result.capabilities
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def editor(lsp: LanguageClient) -> Editor:
    return lsp.editor


async def test_diagnostics_and_fixes(editor: Editor):
    [found] = await editor.open("mine.imgspec")
    assert (found.code, found.source, found.severity) == ("unknown-variable", "imgspec", types.DiagnosticSeverity.Error)
    assert found.range == editor.range("extra_deb")
    actions = await editor.ask(
        "textDocument/codeAction",
        types.CodeActionParams(
            editor.document(), found.range, types.CodeActionContext([found], only=[types.CodeActionKind.QuickFix])
        ),
    )
    [fix] = [action for action in actions if "`extra_debs`" in action.title]
    assert 'extra_debs   =  ["jq"]' in editor.apply(fix.edit.changes[editor.uri()])
    # After characters of two units and four bytes.
    await editor.change("# jq", "# jq ü😀")
    found = await editor.change('"ü😀"]', '"ü😀", 5]')
    assert editor.range("5") in [f.range for f in found]


async def test_changes_of_other_files(editor: Editor):
    await editor.open("mine.imgspec")
    await editor.change("extra_deb   =", "extra_debs =")
    await editor.open("base.imgspec")
    await editor.change("layer base", "layer bass")
    await editor.found(lambda f: any("bass" in d.message for d in f.diagnostics), "mine.imgspec")
    editor.tell("textDocument/didClose", types.DidCloseTextDocumentParams(editor.document()))
    is_known = lambda f: not any("bass" in d.message for d in f.diagnostics)  # noqa: E731
    await editor.found(is_known, "mine.imgspec")
    # The file on disk counts if it is not open.
    (editor.root / "vars.json").write_text('{ "cpu": "many" }\n')
    change = types.FileEvent(editor.uri("vars.json"), types.FileChangeType.Changed)
    editor.tell("workspace/didChangeWatchedFiles", types.DidChangeWatchedFilesParams([change]))
    await editor.found(lambda f: len(f.diagnostics) == 1, "vars.json")
    watch = editor.client.capabilities.workspace.did_change_watched_files
    if watch and watch.dynamic_registration:
        [registration] = editor.client.registered
        assert registration.method == "workspace/didChangeWatchedFiles"


async def test_folders_come_and_go(editor: Editor):
    other = editor.root / "other"
    other.mkdir()
    (other / "imgspec.toml").write_text("")
    (other / "their.imgspec").write_text("layer their { cpu = no_such_thing }\n")
    folder = types.WorkspaceFolder(other.as_uri(), "other")
    event = types.WorkspaceFoldersChangeEvent(added=[folder], removed=[])
    editor.tell("workspace/didChangeWorkspaceFolders", types.DidChangeWorkspaceFoldersParams(event))
    await editor.found(lambda f: len(f.diagnostics) == 1, "other/their.imgspec")


async def test_var_files(editor: Editor):
    (editor.root / "more.json").write_text('{ "extra_rpm": "x", "memory": "4096" }\n')
    [found] = await editor.open("more.json", "json")
    assert found.code == "unknown-json-name" and found.range == editor.range('"extra_rpm"')
    workspace = editor.client.capabilities.workspace
    can_create = workspace.workspace_edit and types.ResourceOperationKind.Create in (
        workspace.workspace_edit.resource_operations or []
    )
    actions = await editor.ask(
        "textDocument/codeAction",
        types.CodeActionParams(
            editor.document(),
            found.range,
            types.CodeActionContext([], only=[types.CodeActionKind.RefactorRewrite]),
        ),
    )
    assert [action.title for action in actions] == (["Convert more.json to a spec"] if can_create else [])
    if can_create:
        create, edit = actions[0].edit.document_changes
        assert create.uri == editor.uri("more.imgspec")
        assert "memory = 4096" in edit.edits[0].new_text


async def test_hover(editor: Editor):
    await editor.open("mine.imgspec")
    hover = await editor.ask("textDocument/hover", editor.at("kubernetes_semver"))
    assert "set by `mine`" in hover.contents.value
    assert hover.range == editor.range("kubernetes_semver")
    assert await editor.ask("textDocument/hover", editor.at('"v1.24')) is None


async def test_completion(editor: Editor):
    await editor.open("mine.imgspec")
    await editor.change("    memory = 8192", "    memory = 8192\n    headless = ")
    items = await editor.ask("textDocument/completion", editor.at("headless = ", types.CompletionParams))
    assert [item.label for item in items[:2]] == ["true", "false"]
    await editor.change("headless = ", "head")
    items = await editor.ask("textDocument/completion", editor.at("    head", types.CompletionParams))
    [item] = [item for item in items if item.label == "headless"]
    assert item.documentation is None
    item = await editor.ask("completionItem/resolve", item)
    assert "headless" in getattr(item.documentation, "value", item.documentation)


async def test_signature(editor: Editor):
    await editor.open("mine.imgspec")
    params = editor.at('join(["a"], ', types.SignatureHelpParams)
    help = await editor.ask("textDocument/signatureHelp", params)
    assert help.signatures[0].label == "join(list, separator)" and help.active_parameter == 1


async def test_definition_and_references(editor: Editor):
    await editor.open("mine.imgspec")
    there = await editor.ask("textDocument/definition", editor.at("kubernetes_semver", types.DefinitionParams))
    path = pathlib.Path(types.Location(there.uri, there.range).uri.removeprefix("file://"))
    assert path.read_text().splitlines()[there.range.start.line].startswith("variable kubernetes_semver")
    # The copy of the library is not a spec of the project, but requests work in it.
    item = types.TextDocumentItem(there.uri, "imgspec", 1, path.read_text())
    editor.tell("textDocument/didOpen", types.DidOpenTextDocumentParams(item))
    library = types.TextDocumentIdentifier(there.uri)
    hover = await editor.ask("textDocument/hover", types.HoverParams(library, there.range.start))
    assert "variable kubernetes_semver" in hover.contents.value
    context = types.ReferenceContext(include_declaration=False)
    params = types.ReferenceParams(context=context, text_document=library, position=there.range.start)
    places = await editor.ask("textDocument/references", params)
    assert [place.uri for place in places] == [editor.uri("mine.imgspec")]
    assert there.uri not in editor.client.found
    places = await editor.ask(
        "textDocument/references",
        editor.at("photon-3, base", types.ReferenceParams, context=types.ReferenceContext(include_declaration=True)),
    )
    assert sorted(place.uri for place in places) == [editor.uri("base.imgspec"), editor.uri("mine.imgspec")]


async def test_rename(editor: Editor):
    await editor.open("mine.imgspec")
    here = editor.at("photon-3, base", types.PrepareRenameParams)
    prepared = await editor.ask("textDocument/prepareRename", here)
    assert prepared.placeholder == "base"
    edit = await editor.ask("textDocument/rename", editor.at("photon-3, base", types.RenameParams, new_name="ground"))
    assert "photon-3, ground, vars" in editor.apply(edit.changes[editor.uri()])
    assert [e.new_text for e in edit.changes[editor.uri("base.imgspec")]] == ["ground"]
    with pytest.raises(Exception, match="cannot be a name"):
        await editor.ask("textDocument/rename", editor.at("photon-3, base", types.RenameParams, new_name="a b"))


async def test_symbols(editor: Editor):
    await editor.open("mine.imgspec")
    symbols = await editor.ask("textDocument/documentSymbol", types.DocumentSymbolParams(editor.document()))
    if isinstance(symbols[0], types.DocumentSymbol):
        assert [symbol.name for symbol in symbols] == ["vars", "mine"]
        assert [child.name for child in symbols[1].children][:2] == ["memory", "extra_rpms"]
    else:
        inside = [symbol.name for symbol in symbols if symbol.container_name == "mine"]
        assert inside[:2] == ["memory", "extra_rpms"]
    symbols = await editor.ask("workspace/symbol", types.WorkspaceSymbolParams(query="bs"))
    assert [symbol.name for symbol in symbols] == ["base"]


async def test_links_and_folds(editor: Editor):
    await editor.open("mine.imgspec")
    links = await editor.ask("textDocument/documentLink", types.DocumentLinkParams(editor.document()))
    assert [link.target for link in links] == [editor.uri("base.imgspec"), editor.uri("vars.json")]
    folds = await editor.ask("textDocument/foldingRange", types.FoldingRangeParams(editor.document()))
    assert [(fold.start_line, fold.end_line) for fold in folds] == [(3, 11), (7, 9)]


async def test_structure(editor: Editor):
    await editor.open("mine.imgspec")
    marks = await editor.ask("textDocument/documentHighlight", editor.at("memory", types.DocumentHighlightParams))
    assert [mark.range for mark in marks] == [editor.range("memory")]
    params = types.SelectionRangeParams(editor.document(), [editor.place('"ü')])
    [inner] = await editor.ask("textDocument/selectionRange", params)
    assert inner.range == editor.range("ü") and inner.parent.range == editor.range("ü😀")
    params = editor.at("memory", types.LinkedEditingRangeParams)
    assert await editor.ask("textDocument/linkedEditingRange", params) is None
    moved = types.FileRename(editor.uri("base.imgspec"), editor.uri("layers/base.imgspec"))
    edit = await editor.ask("workspace/willRenameFiles", types.RenameFilesParams([moved]))
    assert 'include "layers/base.imgspec"' in editor.apply(edit.changes[editor.uri()])


async def test_lenses(editor: Editor):
    await editor.open("base.imgspec")
    [lens] = await editor.ask("textDocument/codeLens", types.CodeLensParams(editor.document()))
    lens = await editor.ask("codeLens/resolve", lens)
    assert lens.range == editor.range("base") and lens.command.title == "used by 1 image"


async def test_hierarchy(editor: Editor):
    await editor.open("mine.imgspec")
    params = editor.at("photon-3, base", types.TypeHierarchyPrepareParams)
    [item] = await editor.ask("textDocument/prepareTypeHierarchy", params)
    assert (item.name, item.uri) == ("base", editor.uri("base.imgspec"))
    [below] = await editor.ask("typeHierarchy/subtypes", types.TypeHierarchySubtypesParams(item))
    assert (below.name, below.uri) == ("mine", editor.uri())
    above = await editor.ask("typeHierarchy/supertypes", types.TypeHierarchySupertypesParams(below))
    assert [item.name for item in above] == ["node-ova-local-photon-3", "base", "vars"]


async def test_calls(editor: Editor):
    await editor.open("mine.imgspec")
    params = editor.at("photon-3, base", types.CallHierarchyPrepareParams)
    [item] = await editor.ask("textDocument/prepareCallHierarchy", params)
    [call] = await editor.ask("callHierarchy/incomingCalls", types.CallHierarchyIncomingCallsParams(item))
    place = types.Range(editor.place("photon-3, "), editor.place("photon-3, base"))
    assert call.from_.name == "mine" and list(call.from_ranges) == [place]
    calls = await editor.ask("callHierarchy/outgoingCalls", types.CallHierarchyOutgoingCallsParams(call.from_))
    assert [call.to.name for call in calls] == ["node-ova-local-photon-3", "base", "vars"]
    assert list(calls[1].from_ranges) == [place]


async def test_hints(editor: Editor):
    await editor.open("mine.imgspec")
    hints = await editor.ask("textDocument/inlayHint", types.InlayHintParams(editor.document(), editor.everything()))
    places = {(hint.position.line, hint.position.character): hint.label for hint in hints}
    behind = editor.place('["ü😀"]')
    assert places[behind.line, behind.character] == '= ["nfs-utils", "ü😀"]'
    assert any("kubernetes_series" in label for label in places.values())


async def test_tokens(editor: Editor):
    await editor.open("mine.imgspec")
    legend = editor.announced.semantic_tokens_provider.legend.token_types
    tokens = await editor.ask("textDocument/semanticTokens/full", types.SemanticTokensParams(editor.document()))
    line, column, kinds = 0, 0, {}
    for at in range(0, len(tokens.data), 5):
        down, right, length, kind, _ = tokens.data[at : at + 5]
        line, column = line + down, right if down else column + right
        kinds[line, column, length] = legend[kind]

    def kind(text: str) -> str:
        place = editor.place(text, behind=False)
        return kinds[place.line, place.character, editor.width(text)]

    assert (kind("image"), kind("node-ova-local-photon-3"), kind("memory")) == ("keyword", "class", "variable")
    assert (kind('"ü😀"'), kind("# jq"), kind("8192"), kind("join")) == ("string", "comment", "number", "function")
    params = types.SemanticTokensRangeParams(editor.document(), editor.range('image mine'))
    part = await editor.ask("textDocument/semanticTokens/range", params)
    assert len(part.data) == 10
    await editor.change("# jq", "# jq and more")
    params = types.SemanticTokensDeltaParams(editor.document(), tokens.result_id)
    delta = await editor.ask("textDocument/semanticTokens/full/delta", params)
    [edit] = delta.edits
    new = tokens.data[: edit.start] + edit.data + tokens.data[edit.start + edit.delete_count :]
    whole = await editor.ask("textDocument/semanticTokens/full", types.SemanticTokensParams(editor.document()))
    assert new == whole.data


async def test_format(editor: Editor):
    await editor.open("mine.imgspec")
    options = types.FormattingOptions(tab_size=4, insert_spaces=True)
    edits = await editor.ask("textDocument/formatting", types.DocumentFormattingParams(editor.document(), options))
    assert editor.apply(edits) == MINE.replace("extra_deb   =  [", "extra_deb = [")
    params = types.DocumentRangeFormattingParams(editor.document(), editor.range("include"), options)
    edits = await editor.ask("textDocument/rangeFormatting", params)
    assert editor.apply(edits) == MINE


async def test_refactorings(editor: Editor):
    await editor.open("mine.imgspec")

    async def actions(text: str):
        context = types.CodeActionContext([], only=[types.CodeActionKind.Refactor])
        params = types.CodeActionParams(editor.document(), editor.range(text), context)
        return {action.title: action.edit for action in await editor.ask("textDocument/codeAction", params)}

    edit = (await actions("extra_rpms"))["Inline the inherited value of `extra_rpms`"]
    assert 'extra_rpms = ["nfs-utils", "ü😀"] # jq' in editor.apply(edit.changes[editor.uri()])
    edit = (await actions("memory"))["Remove the redundant setting of `memory`"]
    assert "memory" not in editor.apply(edit.changes[editor.uri()])


async def test_what_is_announced_is_driven(editor: Editor):
    fields = {field.name: getattr(editor.announced, field.name) for field in editor.announced.__attrs_attrs__}
    announced = {name for name, value in fields.items() if value not in (None, False)}
    assert announced == METHODS.keys()
    missing = set().union(*METHODS.values()) - driven[editor.name]
    assert not missing


class Raw:
    """The program on bare pipes."""

    def __init__(self, folder: pathlib.Path):
        self.process = subprocess.Popen(
            [IMGSPEC, "lsp"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def send(self, *messages):
        for message in messages:
            body = (message if isinstance(message, str) else json.dumps({"jsonrpc": "2.0", **message})).encode()
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def receive(self):
        length = int(self.process.stdout.readline().split(b": ")[1])
        self.process.stdout.readline()
        return json.loads(self.process.stdout.read(length))

    def initialize(self):
        self.send({"id": 0, "method": "initialize", "params": {"capabilities": {}}})
        assert "capabilities" in self.receive()["result"]
        self.send({"method": "initialized", "params": {}})

    def end(self) -> int:
        self.process.stdin.close()
        return self.process.wait(10)


async def test_life(tmp_path: pathlib.Path):
    server = Raw(tmp_path)
    server.send({"id": 1, "method": "textDocument/hover", "params": {}})
    assert server.receive()["error"]["code"] == -32002, "not initialized yet"
    server.initialize()
    server.send({"id": 2, "method": "no/such", "params": {}}, {"method": "no/such", "params": {}})
    assert server.receive()["error"]["code"] == -32601
    server.send("{ no JSON", {"id": 3, "method": "textDocument/hover", "params": 5})
    reply = server.receive()
    assert (reply["id"], reply["error"]["code"]) == (None, -32700)
    assert server.receive()["error"]["code"] == -32602
    server.send({"id": 4, "method": "shutdown"}, {"id": 5, "method": "workspace/symbol", "params": {"query": ""}})
    assert server.receive()["result"] is None
    assert server.receive()["error"]["code"] == -32600, "the end was asked for"
    server.send({"method": "exit"})
    assert server.end() == 0


async def test_leaving_without_a_word(tmp_path: pathlib.Path):
    for messages in [[], [{"method": "exit"}]]:
        server = Raw(tmp_path)
        server.initialize()
        server.send(*messages)
        assert server.end() == 1
    server = Raw(tmp_path)
    server.send({"method": "exit"})
    assert server.end() == 1


async def test_cancelled_requests(tmp_path: pathlib.Path):
    server = Raw(tmp_path)
    server.initialize()
    text = "".join(f'layer l{i} {{ extra_rpms = ["p{i}"] }}\n' for i in range(3000))
    item = {"uri": (tmp_path / "long.imgspec").as_uri(), "languageId": "imgspec", "version": 1, "text": text}
    ask = [{"id": i, "method": "workspace/symbol", "params": {"query": ""}} for i in (10, 11)]
    server.send(
        {"method": "textDocument/didOpen", "params": {"textDocument": item}},
        *ask,
        {"method": "$/cancelRequest", "params": {"id": 11}},
        {"id": 12, "method": "shutdown"},
    )
    replies = {}
    while len(replies) < 3:
        message = server.receive()
        if "id" in message:
            replies[message["id"]] = message
    assert replies[11]["error"]["code"] == -32800
    assert len(replies[10]["result"]) == 500 and replies[12]["result"] is None
    server.send({"method": "exit"})
    assert server.end() == 0
