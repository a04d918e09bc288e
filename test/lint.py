#!/usr/bin/env python3
"""Checks of the sources that need no server. Run by test/lint.

Prints one line a finding and exits 1 if there is any.
"""
import glob
import json
import os
import re
import subprocess
import sys

LONG, TOO_LONG = 60, 120  # lines of a C function
findings = []


def find(path, line, text):
    findings.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def names(pattern):
    return {os.path.splitext(os.path.basename(p))[0]
            for p in glob.glob(pattern)}


def domains():
    text = read("Makefile").replace("\\\n", " ")
    return re.search(r"^DOMAINS *= *(.*)$", text, re.M).group(1).split()


# --- files ---------------------------------------------------------------

ALLOWED = {
    "sql": r"\w+\.sql",
    "expected": r"\w+\.out",
    "test/sql": r"\w+\.sql",
    "test/pgtap": r"\w+\.(sql|inc)",
    "test/isolation/specs": r"\w+\.spec",
    "test/isolation/expected": r"\w+\.out",
    "test/data": r"\w+\.(sql|sh|psql)",
    "test/scripts": r"\w+\.sh",
    "test/bench": r"\w+\.(sql|sh)|run|lib",
}


def check_files():
    """Every file is built or run, every domain is on every floor."""
    for folder, pattern in ALLOWED.items():
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if not re.fullmatch(pattern, name):
                find(f"{folder}/{name}", 0, "nothing builds or runs this file")
    for inputs, outputs in (
            ("test/sql/*.sql", "expected/*.out"),
            ("test/isolation/specs/*.spec", "test/isolation/expected/*.out")):
        for name in sorted(names(inputs) ^ names(outputs)):
            find(inputs, 0, f"{name} has only one of input and expected output")
    for path in glob.glob("test/data/*.psql"):
        users = glob.glob("test/data/*.sql") + glob.glob("test/data/*.sh")
        if not any(os.path.basename(path) in read(u) for u in users):
            find(path, 0, "no data check includes this file")
    for name in sorted(names("sql/*.sql") - {"header", "footer"}):
        if name.split("_")[0] not in domains():
            find(f"sql/{name}.sql", 0, "not in DOMAINS of the Makefile")
    for domain in domains():
        for floor in ("sql/{}.sql", "test/sql/{}.sql", "expected/{}.out",
                      "test/pgtap/{}.sql", "docs/{}.md"):
            if not os.path.exists(floor.format(domain)):
                find(floor.format(domain), 0, f"domain {domain} lacks this")


def check_version():
    control = re.search(r"^default_version *= *'(.*)'",
                        read("iaros.control"), re.M).group(1)
    meta = json.loads(read("META.json"))
    provided = meta["provides"]["iaros"]
    for what, value, wanted in (
            ("version", meta["version"], control),
            ("provides.version", provided["version"], control),
            ("provides.file", provided["file"], f"iaros--{control}.sql")):
        if value != wanted:
            find("META.json", 0, f"{what} is {value}, not {wanted}")
    if f"## {control}" not in read("CHANGELOG.md"):
        find("CHANGELOG.md", 0, f"no section {control}")


def check_text():
    """What .editorconfig asks for: no trailing blanks, a last newline."""
    paths = []
    for pattern in ("src/**/*.[ch]*", "sql/*.sql", "test/**/*", "docs/*.md"):
        paths += glob.glob(pattern, recursive=True)
    for path in paths:
        if (not os.path.isfile(path) or path.endswith((".out", ".o", ".bc"))
                or "/results/" in path or "/expected/" in path):
            continue
        text = read(path)
        if text and not text.endswith("\n"):
            find(path, 0, "no newline at the end")
        for match in re.finditer(r"[ \t]+$", text, re.M):
            find(path, text.count("\n", 0, match.start()) + 1,
                 "trailing blanks")


# --- SQL -----------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<string> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' )
  | (?P<ident> "(?:[^"]|"")*" )
  | (?P<dollar> \$(?P<tag>[A-Za-z_]\w*)?\$(?P<body>.*?)\$(?(tag)(?P=tag))\$ )
  | (?P<meta> ^\\[^\n]* )
  | (?P<end> ; )
""", re.X | re.S | re.M)


class Statement:
    """One statement: text without comments and bodies, and the bodies."""

    def __init__(self, path, line):
        self.path, self.line = path, line
        self.text, self.strings, self.bodies = "", [], []

    def has(self, pattern):
        return re.search(pattern, self.text, re.I)

    def body(self):
        return "\n".join([b for b, _ in self.bodies] + self.strings)

    def body_code(self):
        """The body less what it has in quotes of its own."""
        return "\n".join(TOKEN.sub(" ", b) for b, _ in self.bodies)


def statements(path, text, line=1):
    """The statements of a text, those in dollar quotes after their own."""
    found, current, at = [], None, 0

    def add(piece, upto):
        nonlocal current
        if current is None:
            if not piece.strip():
                return
            skipped = len(piece) - len(piece.lstrip())
            current = Statement(
                path, line + text.count("\n", 0, upto - len(piece) + skipped))
        current.text += piece

    for match in TOKEN.finditer(text):
        add(text[at:match.start()], match.start())
        at = match.end()
        if match["end"]:
            if current:
                found.append(current)
            current = None
        elif match["ident"]:
            add(match[0], match.end())
        elif match["string"] and current:
            current.strings.append(match[0])
            current.text += " '' "
        elif match["dollar"] and current:
            current.bodies.append(
                (match["body"], line + text.count("\n", 0, match.start("body"))))
            current.text += " $$ "
    add(text[at:], len(text))
    if current:
        found.append(current)
    for outer in list(found):
        for body, start in outer.bodies:
            found += statements(path, body, start)
    return found


NAME = r'(?:@extschema@|iaros|pg_temp)\s*\.\s*(\w+|"[^"]+")'
CREATE = re.compile(
    r"\bCREATE\s+(OR\s+REPLACE\s+)?(?:UNLOGGED\s+|MATERIALIZED\s+)?"
    r"(FUNCTION|PROCEDURE|AGGREGATE|TYPE|DOMAIN|TABLE|VIEW|SEQUENCE)\s+"
    r"(IF\s+NOT\s+EXISTS\s+)?" + NAME, re.I)
OVER_TABLES = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?(?:@extschema@|iaros)\."
    r"\w+\b(?!\s*\()", re.I)


def routine_lacks(statement, kind):
    """What a CREATE FUNCTION or PROCEDURE leaves out."""
    body = statement.body()
    language = statement.has(r"\bLANGUAGE\s+'?(\w+)")
    language = language[1].lower() if language else "sql"
    pinned = statement.has(r"\bSET\s+search_path\b")
    trigger = statement.has(r"\bRETURNS\s+(EVENT_)?TRIGGER\b")
    # Who commits cannot have a SET clause; who reads a source in the path of
    # the caller says so in a comment that begins with these words.
    unpinned = re.search(r"^\s*(COMMIT|ROLLBACK)\b|-- No SET clause, since ",
                         body, re.I | re.M)
    if kind == "FUNCTION" and not trigger:
        if not statement.has(r"\b(IMMUTABLE|STABLE|VOLATILE)\b"):
            yield "volatility"
        if not statement.has(r"\bPARALLEL\s+(SAFE|UNSAFE|RESTRICTED)\b"):
            yield "PARALLEL"
    if statement.has(r"\bSECURITY\s+DEFINER\b") and not pinned:
        yield "a pinned search_path although SECURITY DEFINER"
    elif language == "plpgsql" and not pinned and not unpinned:
        yield "a pinned search_path"
    elif language == "sql" and not pinned and not unpinned and not statement.has(
            r"\bBEGIN\s+ATOMIC\b|\bRETURN\b") and OVER_TABLES.search(
            statement.body_code()):
        yield "a pinned search_path although its body reads tables"
    if (statement.has(r"\bBEGIN\s+ATOMIC\b")
            and OVER_TABLES.search(statement.text)):
        yield "a string body although it reads tables"


def check_sql_file(path):
    created, commented = [], set()
    for statement in statements(path, read(path)):
        comment = statement.has(
            r"\bCOMMENT\s+ON\s+(?:MATERIALIZED\s+)?(\w+)\s+" + NAME)
        if comment:
            commented.add((comment[1].upper(), comment[2]))
        raised = statement.has(r"\bRAISE\s+(EXCEPTION\b.*)")
        if raised and not statement.has(r"\bERRCODE\b"):
            find(path, statement.line, "RAISE EXCEPTION without ERRCODE")
        match = CREATE.search(statement.text)
        if not match:
            continue
        kind, name = match[2].upper(), match[4]
        if match[1] or match[3]:
            find(path, statement.line, f"{name}: plain CREATE is wanted")
        if kind in ("FUNCTION", "PROCEDURE"):
            for lack in routine_lacks(statement, kind):
                find(path, statement.line, f"{name} lacks {lack}")
        shell = kind == "TYPE" and not statement.has(r"\bAS\b|\(")
        if not shell and not statement.has(r"\bPARTITION\s+OF\b"):
            created.append((kind, name, statement.line))
    for kind, name, line in created:
        if kind != "SEQUENCE" and (kind, name) not in commented:
            find(path, line, f"no COMMENT ON {kind} {name}")


def check_roles():
    """Roles outlive the database of a test: the runner drops regress_*."""
    for path in glob.glob("test/sql/*.sql") + glob.glob(
            "test/isolation/specs/*.spec"):
        for match in re.finditer(r"\bCREATE\s+(?:ROLE|USER)\s+(\w+)",
                                 read(path), re.I):
            if not match[1].startswith("regress_"):
                find(path, 0, f"role {match[1]} is not called regress_...")


# --- C -------------------------------------------------------------------

def check_errors(path):
    text = read(path)
    for match in re.finditer(r"\bereport\s*\(\s*ERROR\s*,(.*?)\)\s*;", text,
                             re.S):
        if "errcode" not in match[1]:
            find(path, text.count("\n", 0, match.start()) + 1,
                 "ereport(ERROR) without errcode")


def check_lengths(paths):
    """None over TOO_LONG lines, nine in ten not over LONG."""
    out = subprocess.run(
        ["ctags", "-x", "--c-kinds=f", "--fields=+ne",
         "--_xformat=%N %F %n %{end}"] + paths,
        capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    rows = [(int(end) - int(start) + 1, path, start, name)
            for name, path, start, end in (r for r in rows if len(r) == 4)]
    over = [r for r in rows if r[0] > LONG]
    for length, path, start, name in over:
        if length > TOO_LONG or len(over) * 10 > len(rows):
            find(path, start, f"{name} has {length} lines")


def main():
    check_files()
    check_version()
    check_text()
    check_roles()
    for path in sorted(glob.glob("sql/*.sql")):
        check_sql_file(path)
    sources = sorted(glob.glob("src/**/*.c", recursive=True))
    for path in sources:
        check_errors(path)
    check_lengths(sources)
    print("\n".join(findings))
    sys.exit(1 if findings else 0)


main()
