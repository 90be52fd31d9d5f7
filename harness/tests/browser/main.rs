//! Reports in a real browser: every run of the gallery, as `bench report` writes it today, wide and narrow, and printed.

#[path = "../common/pages.rs"]
mod pages;

use libtest_mimic::{Arguments, Failed, Trial};
use pages::{page, report};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Looks at a report.
const PROBE: &str = include_str!("probe.js");
/// A desk's screen, and a telephone's: CSS pixels.
const WIDTHS: [u32; 2] = [1_280, 400];
/// Collects what goes wrong in the report, before anything else of it runs.
const COLLECT: &str = "<script>window.errors=[];\
    addEventListener('error',(it)=>errors.push(String(it.message||it.target)),true);\
    addEventListener('unhandledrejection',(it)=>errors.push(String(it.reason)));</script>";
/// What Debian, and others, call the browser.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Set to `required`, it has these tests fail where there is no browser, instead of being ignored.
const REQUIRED: (&str, &str) = ("BENCH_BROWSER", "required");

/// A test with the browser of this name.
type Test = Box<dyn Fn(&str) -> Result<(), Failed> + Send>;

fn main() {
    let browser = BROWSERS.into_iter().find(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    });
    let is_required = std::env::var(REQUIRED.0).is_ok_and(|it| it == REQUIRED.1);
    if browser.is_none() {
        eprintln!("reports are ignored: there is no browser (apt-get install chromium)");
    }
    let trial = |name: String, test: Test| {
        let test = move || test(browser.ok_or("there is no browser (apt-get install chromium)")?);
        Trial::test(name, test).with_ignored_flag(browser.is_none() && !is_required)
    };
    let mut trials = Vec::new();
    for run in gallery() {
        let name = run
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for width in WIDTHS {
            let run = run.clone();
            let test = move |browser: &str| shown(browser, &run, width);
            trials.push(trial(format!("{name}::{width}"), Box::new(test)));
        }
        let test = move |browser: &str| printed(browser, &run);
        trials.push(trial(format!("{name}::printed"), Box::new(test)));
    }
    trials.push(trial("what_is_wrong_is_seen".to_owned(), Box::new(wrong)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The runs of the gallery.
fn gallery() -> Vec<PathBuf> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results");
    let entries = std::fs::read_dir(results).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    let mut runs: Vec<_> = folders.filter(|it| page(it).is_some()).collect();
    runs.sort();
    runs
}

/// The browser, which may read files and reach nothing.
fn command(browser: &str, folder: &Path) -> Command {
    let mut command = Command::new(browser);
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    command.args([
        "--headless",
        // It runs as root, in a container or not, and shows nothing but our own page.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-extensions",
        "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        &profile,
    ]);
    command
}

/// What a reader sees of a page at this width.
fn look(browser: &str, html: &str, width: u32) -> Result<serde_json::Value, Failed> {
    let folder = tempfile::tempdir()?;
    let report = html.replacen("<head>", &format!("<head>{COLLECT}"), 1);
    std::fs::write(folder.path().join("report.html"), report)?;
    let page = folder.path().join("page.html");
    let frame = format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body>\
         <iframe src=\"report.html\" width=\"{width}\" height=\"800\" style=\"border: 0\"></iframe>\
         <script>{PROBE}</script></body>"
    );
    std::fs::write(&page, frame)?;
    let output = command(browser, folder.path())
        .args([
            "--window-size=1600,1000",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("file://{}", page.display()))
        .output()?;
    let dom = String::from_utf8_lossy(&output.stdout);
    let saw = dom
        .split_once("<pre id=\"saw\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((saw, _)) = saw else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the page was not looked at: {said}\n{dom:.500}").into());
    };
    let saw = saw
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    Ok(serde_json::from_str(&saw)?)
}

/// What is wrong with a page of which this was seen.
fn objections(saw: &serde_json::Value, width: u32) -> Vec<String> {
    let mut objections = Vec::new();
    let number = |what: &str| saw[what].as_u64().unwrap_or(0);
    for what in ["errors", "wide", "dangling", "outside", "pale", "unsorted"] {
        match saw[what].as_array() {
            Some(empty) if empty.is_empty() => {}
            _ => objections.push(format!("{what}: {}", saw[what])),
        }
    }
    if number("scroll_width") > number("width") || number("width") > u64::from(width) {
        objections.push(format!(
            "{} pixels in {}",
            saw["scroll_width"], saw["width"]
        ));
    }
    if number("without_text") > 0 {
        objections.push(format!(
            "{} pictures say nothing in words",
            saw["without_text"]
        ));
    }
    objections
}

fn shown(browser: &str, run: &Path, width: u32) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let html = std::fs::read_to_string(report(run, folder.path())?)?;
    let saw = look(browser, &html, width)?;
    let mut objections = objections(&saw, width);
    // Stages have tables alone.
    let is_drawn = page(run) != Some("stages.html");
    for what in ["links", "pictures", "sorted"] {
        let is_asked = is_drawn || what != "pictures";
        if is_asked && saw[what].as_u64().unwrap_or(0) == 0 {
            objections.push(format!("no {what}"));
        }
    }
    match objections.is_empty() {
        true => Ok(()),
        false => Err(objections.join("\n").into()),
    }
}

/// It prints, on pages of a usual number.
fn printed(browser: &str, run: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let page = report(run, folder.path())?;
    let to = folder.path().join("report.pdf");
    let output = command(browser, folder.path())
        .arg(format!("--print-to-pdf={}", to.display()))
        .arg(format!("file://{}", page.display()))
        .output()?;
    let pdf = std::fs::read(&to).unwrap_or_default();
    // Each page is an object of this type: PDF 32000-1 section 7.7.3.3.
    let text = String::from_utf8_lossy(&pdf);
    let pages = text.matches("/Type /Page\n").count();
    if !pdf.starts_with(b"%PDF-") || !(1..200).contains(&pages) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{pages} pages in {} bytes: {said}", pdf.len()).into());
    }
    Ok(())
}

/// Each fault that a page may have is seen by what looks at them.
fn wrong(browser: &str) -> Result<(), Failed> {
    let page = |body: &str| {
        format!("<!DOCTYPE html><html><head></head><body><main>{body}</main></body></html>")
    };
    let table = "<table><caption>t</caption><thead><tr><th class=\"n\"><button onclick=\"this.closest('table').tBodies[0].rows[0].remove()\">n</button></th></tr></thead>\
                 <tbody><tr><td>1</td></tr><tr><td>2</td></tr><tr><td>3</td></tr></tbody></table>";
    for (body, says) in [
        ("<script>nothing.there()</script>", "errors"),
        ("<p style=\"width: 3000px\">wide</p>", "wide"),
        ("<p style=\"width: 3000px\">wide</p>", "pixels in"),
        ("<a href=\"#nowhere\">link</a>", "dangling"),
        (
            "<img alt=\"outside\" src=\"https://example.org/x.png\">",
            "outside",
        ),
        ("<p style=\"color: #999\">pale</p>", "pale"),
        ("<svg></svg>", "say nothing in words"),
        (table, "unsorted"),
    ] {
        let objections = objections(&look(browser, &page(body), 400)?, 400);
        if !objections.iter().any(|it| it.contains(says)) {
            return Err(format!("{body}: {objections:?}").into());
        }
    }
    let objections = objections(&look(browser, &page("<p>good</p>"), 400)?, 400);
    match objections.is_empty() {
        true => Ok(()),
        false => Err(objections.join("\n").into()),
    }
}
