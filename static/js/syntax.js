/**
 * Words of a text by what they are: comments, strings, numbers, keywords, keys. For files that people edit on a server,
 * told apart by rules of a line each, and not by whole grammars: what a rule doesn't know stays plain.
 *
 * Each token is one match, however many lines it has, so any end of one is a place to begin at.
 */
const QUOTED = String.raw`"(?:\\[^]|[^"\\])*(?:"|(?![^]))|'(?:\\[^]|[^'\\])*(?:'|(?![^]))`;
const QUOTED_IN_LINE = String.raw`"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?`;
const NUMBER = String.raw`(?<![\w.])-?\d[\w.]*\b`;
const BLOCK = String.raw`\/\*[^]*?(?:\*\/|(?![^]))`;
const words = (text, flags = "") => (flags ? `(?${flags}:\\b(?:${text.replaceAll(" ", "|")})\\b)` : `\\b(?:${text.replaceAll(" ", "|")})\\b`);

const C_WORDS = "abstract as async await bool boolean break case catch char class const continue debugger default defer delete do double else enum export extends extern false final finally float fn for from func function get go if impl implements import in instanceof int interface let long loop match mod mut namespace new nil null of override package private protected pub public return select self set short static string struct super switch this throw throws trait true try type typeof undefined union unsafe use using var void volatile where while yield";
const SQL_WORDS = "add all alter and as asc begin between by case check column commit constraint create cross database default delete desc distinct drop else end exists false foreign from full function grant group having if in index inner insert into is join key left like limit not null offset on or order outer primary references returning revoke right rollback select set table then to transaction trigger true union unique update using values view when where with";

/** By language: what a token is, and its pattern; the first that fits counts. */
const RULES = {
  shell: [
    ["string", String.raw`<<-?[ \t]*(["']?)(?<mark>[A-Za-z_]\w*)\1[^]{0,2000}?\n[ \t]*\k<mark>(?=\n|(?![^]))`],
    ["comment", String.raw`(?<![^\s;])#.*`],
    ["string", QUOTED],
    ["name", String.raw`\$(?:\{[^}\n]*\}?|\w+|[#?@*!$-])`],
    ["keyword", words("if then elif else fi for while until do done case esac in function select return exit break continue local export readonly declare unset shift set trap source eval exec")],
    ["number", NUMBER],
  ],
  python: [
    ["string", String.raw`[fFrRbBuU]{0,2}(?:"""[^]*?(?:"""|(?![^]))|'''[^]*?(?:'''|(?![^])))`],
    ["comment", String.raw`#.*`],
    ["string", QUOTED_IN_LINE],
    ["name", String.raw`@[\w.]+`],
    ["keyword", words("and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return True try while with yield")],
    ["number", NUMBER],
  ],
  ruby: [
    ["comment", String.raw`#.*`],
    ["string", QUOTED],
    ["name", String.raw`(?:@@?|\$|(?<!:):)[A-Za-z_]\w*`],
    ["keyword", words("alias and begin break case class def defined do else elsif end ensure false for if in module next nil not or redo rescue retry return self super then true undef unless until when while yield require")],
    ["number", NUMBER],
  ],
  code: [
    ["comment", String.raw`\/\/.*|${BLOCK}`],
    ["string", String.raw`${QUOTED_IN_LINE}|${"`"}(?:\\[^]|[^\\${"`"}])*(?:${"`"}|(?![^]))`],
    ["name", String.raw`^[ \t]*#[ \t]*\w+|@[A-Za-z_]\w*`],
    ["keyword", words(C_WORDS)],
    ["number", NUMBER],
  ],
  php: [
    ["comment", String.raw`\/\/.*|#(?!\[).*|${BLOCK}|<!--[^]*?(?:-->|(?![^]))`],
    ["string", QUOTED],
    ["name", String.raw`\$\w+|<\?(?:php|=)?|\?>|<\/?[A-Za-z][\w-]*`],
    ["keyword", words(`${C_WORDS} echo elseif endif foreach endforeach endwhile array isset unset require require_once include include_once global`)],
    ["number", NUMBER],
  ],
  json: [
    ["comment", String.raw`\/\/.*|${BLOCK}`],
    ["name", String.raw`"(?:\\.|[^"\\\n])*"(?=\s*:)`],
    ["string", String.raw`"(?:\\.|[^"\\\n])*"?`],
    ["keyword", words("true false null")],
    ["number", String.raw`-?\d[\d.eE+-]*`],
  ],
  yaml: [
    ["comment", String.raw`(?<!\S)#.*`],
    ["name", String.raw`^[ \t]*(?:- +)*(?:"[^"\n]*"|'[^'\n]*'|[\w./$-][^:#\n]*?)(?=:(?:\s|$))`],
    ["string", QUOTED_IN_LINE],
    ["keyword", String.raw`(?<=[:\[,-] )\b(?:true|false|null|yes|no|on|off)\b|^(?:---|\.\.\.)|[&*][\w-]+`],
    ["number", String.raw`(?<=[:\[,-] )-?\d[\d._]*\b`],
  ],
  ini: [
    ["comment", String.raw`^[ \t]*[#;].*`],
    ["keyword", String.raw`^[ \t]*\[[^\n]*\]`],
    ["name", String.raw`^[ \t]*[^\s=:#;\[][^=:\n]*?(?=\s*[=:])`],
    ["string", QUOTED_IN_LINE],
    ["number", String.raw`(?<=[=:] ?)-?\d[\d.]*\b`],
  ],
  config: [
    ["comment", String.raw`(?<!\S)#.*`],
    ["string", QUOTED_IN_LINE],
    ["keyword", String.raw`<\/?[A-Za-z][^\n>]*>`],
    ["name", String.raw`[$%]\{?[A-Za-z_]\w*\}?`],
    ["keyword", String.raw`(?:^|(?<=[{;]))[ \t]*[A-Za-z_][\w.-]*`],
    ["number", NUMBER],
  ],
  docker: [
    ["comment", String.raw`^[ \t]*#.*`],
    ["keyword", String.raw`^[ \t]*(?:ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\b|\bAS\b`],
    ["string", QUOTED_IN_LINE],
    ["name", String.raw`\$(?:\{[^}\n]*\}?|\w+)|(?<=\s)--[\w-]+`],
  ],
  make: [
    ["comment", String.raw`#.*`],
    ["name", String.raw`\$[({][^)}\n]*[)}]?|\$.|^[\w./%-][^:=\n]*?(?=\s*[:?+]?[:=])`],
    ["string", QUOTED_IN_LINE],
    ["keyword", String.raw`^(?:include|ifeq|ifneq|ifdef|ifndef|else|endif|define|endef|export)\b`],
  ],
  sql: [
    ["comment", String.raw`--.*|${BLOCK}`],
    ["string", String.raw`'(?:''|[^'])*(?:'|(?![^]))`],
    ["name", String.raw`"[^"\n]*"?|${"`"}[^\n${"`"}]*${"`"}?`],
    ["keyword", words(`${SQL_WORDS} ${SQL_WORDS.toUpperCase()}`)],
    ["number", NUMBER],
  ],
  css: [
    ["comment", BLOCK],
    ["string", QUOTED_IN_LINE],
    ["keyword", String.raw`@[\w-]+|![a-z]+`],
    ["name", String.raw`--[\w-]+|(?<=[{;]\s?\s?\s?\s?\s?)[\w-]+(?=\s*:)`],
    ["number", String.raw`#[0-9a-fA-F]{3,8}\b|(?<![\w.-])-?\d[\w.%]*`],
  ],
  markup: [
    ["comment", String.raw`<!--[^]*?(?:-->|(?![^]))`],
    ["keyword", String.raw`<[!?/]?[A-Za-z][\w:.-]*|[?/]?>`],
    ["string", String.raw`(?<==)(?:"[^"]*(?:"|(?![^]))|'[^']*(?:'|(?![^])))`],
    ["name", String.raw`(?<=\s)[\w:@.-]+(?==["'])`],
    ["number", String.raw`&#?\w+;`],
  ],
  markdown: [
    ["string", String.raw`^${"```"}[^]*?(?:^${"```"}|(?![^]))|${"`"}[^\n${"`"}]+${"`"}`],
    ["keyword", String.raw`^#{1,6} .*`],
    ["name", String.raw`\[[^\]\n]*\]\([^)\n]*\)`],
    ["comment", String.raw`^>.*|<!--[^]*?(?:-->|(?![^]))`],
  ],
};

/** By the ending of a name, or a whole name. */
const OF_NAME = {
  shell: "sh bash zsh ash ksh profile bashrc zshrc env bash_profile bash_aliases",
  python: "py pyi wsgi",
  ruby: "rb gemfile rakefile vagrantfile",
  code: "js mjs cjs jsx ts tsx java c h cc cpp hpp cs go rs kt swift scala dart groovy",
  php: "php phtml",
  json: "json jsonc json5 map webmanifest",
  yaml: "yaml yml",
  ini: "ini toml service socket timer mount target path slice network netdev cfg properties editorconfig gitconfig desktop repo sources",
  config: "conf cnf vhost htaccess nginx caddyfile fstab hosts crontab sshd_config ssh_config rules nft vcl",
  docker: "dockerfile containerfile",
  make: "makefile mk",
  sql: "sql",
  css: "css scss less",
  markup: "html htm xml svg xhtml xsl plist rss vue",
  markdown: "md markdown",
};
const LANGUAGES = new Map(Object.entries(OF_NAME).flatMap(([language, names]) => names.split(" ").map((name) => [name, language])));
const PROGRAMS = [[/\b(?:ba|da|z|k|a)?sh\b/, "shell"], [/\bpython/, "python"], [/\bphp/, "php"], [/\bruby/, "ruby"], [/\bnode\b/, "code"]];
const compiled = new Map();

/** What a text is written in, by its name, then by its first line; "" where neither tells. */
export function languageOf(name, text) {
  const lower = name.toLowerCase();
  const whole = lower.replace(/^\./, "");
  const found = LANGUAGES.get(whole) || LANGUAGES.get(lower.split(".").at(-1)) || LANGUAGES.get(whole.split(".")[0]);
  if (found) return found;
  const first = text.slice(0, 200).split("\n", 1)[0];
  if (first.startsWith("#!")) return PROGRAMS.find(([program]) => program.test(first))?.[1] || "";
  return first.startsWith("<?xml") ? "markup" : "";
}

function pattern(language) {
  if (!compiled.has(language)) {
    const parts = RULES[language].map(([kind, source], at) => `(?<${kind}${at}>${source.replaceAll("mark", `mark${at}`).replaceAll("\\1", "\\k<quote>").replace("([\"']?)", "(?<quote>[\"']?)")})`);
    compiled.set(language, { expression: new RegExp(parts.join("|"), "gm"), kinds: RULES[language].map(([kind, _source], at) => [`${kind}${at}`, kind]) });
  }
  return compiled.get(language);
}

/** Tokens of the text from an end of one on: `[kind, begin, end]`, until `act` of one says false. */
export function tokens(language, text, from, act) {
  const { expression, kinds } = pattern(language);
  expression.lastIndex = from;
  for (let found = expression.exec(text); found; found = expression.exec(text)) {
    const end = expression.lastIndex;
    if (end === found.index) expression.lastIndex += 1;
    else if (act(kinds.find(([group]) => found.groups[group] !== undefined)[1], found.index, end) === false) return;
  }
}
