use super::*;

fn compile(texts: &[(&str, &str)], wanted: &[&str]) -> Result<Templates, Vec<String>> {
    let sources = texts
        .iter()
        .map(|(name, text)| match name.strip_prefix(BUILT_IN) {
            Some(path) => TemplateSource::built_in(path, *text),
            None => TemplateSource {
                name: (*name).to_owned(),
                file: format!("/custom/{name}").into(),
                text: (*text).to_owned(),
            },
        });
    Templates::compile(sources, wanted)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn rendered(texts: &[(&str, &str)], name: &str) -> Result<String, String> {
    let templates = compile(texts, &[name]).map_err(|problems| problems.join("\n"))?;
    let values = RenderValues::of(&TemplateContext::example()).unwrap();
    templates
        .render(name, &values)
        .map_err(|problem| problem.to_string())
}

#[test]
fn a_site_overrides_a_block_of_what_is_built_in() {
    let built_in = [
        (
            "builtin/x/base.ks",
            "a\n<% block b %>\nb\n<% endblock b %>\nc\n",
        ),
        ("builtin/x/compute.ks", "<% extends \"x/base.ks\" %>\n"),
    ];
    assert_eq!(rendered(&built_in, "x/compute.ks").unwrap(), "a\nb\nc\n");

    let own = "<% extends \"builtin/x/compute.ks\" %>\n<% block b %>\n<@ super() @>own\n<% endblock b %>\n";
    let with = [&built_in[..], &[("x/compute.ks", own)]].concat();
    assert_eq!(rendered(&with, "x/compute.ks").unwrap(), "a\nb\nown\nc\n");

    // The base alone: all profiles that are built in follow it.
    let own = "<% extends \"builtin/x/base.ks\" %>\n<% block b %>\nown\n<% endblock b %>\n";
    let with = [&built_in[..], &[("x/base.ks", own)]].concat();
    assert_eq!(rendered(&with, "x/compute.ks").unwrap(), "a\nown\nc\n");
}

#[test]
fn marks_of_xcat_are_refused_in_templates_of_the_site() {
    let own =
        "a\n<# #XCATVAR:XCATMASTER# #>\nb\n#INCLUDE:other.tmpl#\n<@ node.name @> #HOSTNAME#\n";
    let advice =
        "is a mark of xCAT's templates, which are not read: docs/templates.md has what replaces it";
    assert_eq!(
        compile(&[("x/base.ks", own)], &["x/base.ks"]).unwrap_err(),
        [
            format!("/custom/x/base.ks:4: '#INCLUDE:other.tmpl#' {advice}"),
            format!("/custom/x/base.ks:5: '#HOSTNAME#' {advice}"),
        ]
    );
    let built_in = [("builtin/x/base.ks", own)];
    assert!(compile(&built_in, &["x/base.ks"]).is_ok());
}

#[test]
fn a_circle_is_reported_at_the_line_that_closes_it() {
    let templates = [
        ("builtin/x/base.ks", "a\n"),
        ("x/base.ks", "\n<% extends \"x/base.ks\" %>\n"),
    ];
    assert_eq!(
        rendered(&templates, "x/base.ks").unwrap_err(),
        "/custom/x/base.ks:2: this includes 'x/base.ks' itself: write \"builtin/x/base.ks\" for the one that is built \
         in"
    );
    let templates = [
        ("x/one", "<% include \"x/two\" %>\n"),
        ("x/two", "\n<% include \"x/one\" %>\n"),
    ];
    assert_eq!(
        rendered(&templates, "x/one").unwrap_err(),
        "/custom/x/one:1: this includes 'x/one' itself: leave it out\n\
         /custom/x/two:2: this includes 'x/two' itself: leave it out"
    );
}

#[test]
fn each_error_is_a_line_and_a_sentence() {
    let base = ("builtin/x/base.ks", "<% block b %><% endblock b %>\n");
    let cases = [
        (
            "<@ node.mak @>",
            "/custom/t:1: 'node.mak' is not a field: did you mean 'node.mac'?",
        ),
        (
            "\n<% if nod.mac %><% endif %>",
            "/custom/t:2: 'nod.mac' is not a field: did you mean 'node.mac'?",
        ),
        (
            "\n<% for r in extras %>\n<@ r.url @>\n<% endfor %>",
            "/custom/t:3: 'extras[].url' is not a field: did you mean 'extras[].uri'?",
        ),
        (
            "<@ zzzzzzzz @>",
            "/custom/t:1: 'zzzzzzzz' is not a field: docs/templates.md lists them",
        ),
        (
            "\n\n<% include \"x/bas.ks\" %>",
            "/custom/t:3: there is no template 'x/bas.ks': did you mean 'x/base.ks'?",
        ),
        (
            "<% extends \"nothing\" %>",
            "/custom/t:1: there is no template 'nothing'",
        ),
        (
            "<# why #>\n<% extends \"t\" %>",
            "/custom/t:2: this includes 't' itself: leave it out",
        ),
        (
            "\n\n<% include \"t\" %>",
            "/custom/t:3: this includes 't' itself: leave it out",
        ),
        (
            "<% extends \"x/base.ks\" %>\n<% block c %><% endblock c %>",
            "/custom/t:2: overrides block 'c', which no template that it extends has: docs/templates.md lists the blocks",
        ),
        (
            "\n<@ node.mac | shh @>",
            "/custom/t:2: there is no filter 'shh': docs/templates.md lists them",
        ),
        (
            "\n<% if node.mac %>",
            "/custom/t:2: unexpected end of input",
        ),
        ("<@ node.mac", "/custom/t:1: unexpected end of input"),
        (
            "\n<@ node.domain @>",
            "/custom/t:2: 'node.domain' is not given here: ask with <% if node.domain %> before it is written",
        ),
        (
            "\n<% include \"u\" %>",
            "/custom/u:3: 'node.domain' is not given here: ask with <% if node.domain %> before it is written",
        ),
        (
            "\n<@ environment.EVIL | sh @>",
            "/custom/t:2: 'environment.EVIL | sh': \"a\\nb\" does not fit here: the character '\\n' is not allowed in it",
        ),
    ];
    let mut context = TemplateContext::example();
    context.node.domain = None;
    context
        .environment
        .insert("EVIL".to_owned(), "a\nb".to_owned());
    let values = RenderValues::of(&context).unwrap();
    for (text, expected) in cases {
        let texts = [base, ("t", text), ("u", "\n\n<@ node.domain | sh @>")];
        let said = match compile(&texts, &["t"]) {
            Ok(templates) => templates.render("t", &values).unwrap_err().to_string(),
            Err(problems) => problems.join("\n"),
        };
        assert_eq!(said, expected, "{text}");
    }
}

#[test]
fn all_that_is_wrong_is_reported_together() {
    let texts = [
        ("a", "<% include \"b\" %><@ x @>"),
        ("b", "<@ y @>\n<@ x @>"),
    ];
    let problems = compile(&texts, &["a"]).unwrap_err();
    assert_eq!(
        problems,
        [
            "/custom/a:1: 'x' is not a field: docs/templates.md lists them",
            "/custom/b:1: 'y' is not a field: docs/templates.md lists them",
            "/custom/b:2: 'x' is not a field: docs/templates.md lists them",
        ]
    );
    let texts = [("a", "<% include \"b\" %><% if %>"), ("b", "<@ @>")];
    assert_eq!(compile(&texts, &["a"]).unwrap_err().len(), 2);
}

#[test]
fn a_template_that_is_not_wanted_spoils_nothing() {
    let texts = [("a", "fine"), ("b", "<% if %>")];
    assert!(compile(&texts, &["a"]).is_ok());
    assert_eq!(
        compile(&texts, &["c"]).unwrap_err(),
        ["there is no template 'c'"]
    );
}

#[test]
fn variables_are_those_of_parents_and_includes_too() {
    let texts = [
        (
            "a",
            "<% extends \"b\" %><% block c %><@ node.mac @><% endblock c %>",
        ),
        ("b", "<% block c %><% endblock c %><% include \"d\" %>"),
        (
            "d",
            "<% set e = node.name %><@ e @><% for r in extras %><@ r.uri @><% endfor %>",
        ),
    ];
    let variables = compile(&texts, &["a"]).unwrap().variables("a");
    let expected = ["extras", "extras[].uri", "node.mac", "node.name"];
    assert!(variables.iter().eq(expected), "{variables:?}");
}

#[test]
fn shell_stays_shell() {
    let shell = "x=${#list[@]}; [[ $x -gt 0 ]] && echo {{a,b}} {% %} <<E\n$((1 << 2))\nE\n";
    assert_eq!(rendered(&[("a", shell)], "a").unwrap(), shell);
}
