//! Packages: where a bare name leads, and what kind of module a file is.
//!
//! Resolution is node_resolver's, with `node_modules` folders beside and above the importing file, up to
//! the folder that holds the components. CommonJS modules are imported through a wrapper in ES module form,
//! whose names come from an analysis of the source; the module itself is run by Deno's own `require`
//! (`01_require.js`), which asks [`RequireLoader`] for sources.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use deno_ast::{MediaType, ParseParams};
use deno_core::{FastString, ModuleSpecifier};
use deno_error::JsErrorBox;
use deno_node::{NodeExtInitServices, NodeRequireLoader};
use deno_permissions::PermissionsContainer;
use deno_resolver::npm::{
    ByonmInNpmPackageChecker, ByonmNpmResolver, ByonmNpmResolverCreateOptions,
};
use node_resolver::analyze::{
    CjsAnalysis, CjsAnalysisExports, CjsCodeAnalyzer, CjsModuleExportAnalyzer, EsmAnalysisMode,
    NodeCodeTranslator, NodeCodeTranslatorMode,
};
use node_resolver::cache::NodeResolutionSys;
use node_resolver::errors::PackageJsonLoadError;
use node_resolver::{
    DenoIsBuiltInNodeModuleChecker, NodeConditionOptions, NodeResolution, NodeResolutionKind,
    NodeResolver, NodeResolverOptions, PackageJsonResolver, PackageJsonThreadLocalCache,
    ResolutionMode,
};
use sys_traits::impls::RealSys;

use super::ops::native_addon;
use crate::permissions::{ReadableRoots, unreadable};
use crate::transpile::{TranspileError, Transpiled, transpile};

type Folders = ByonmNpmResolver<RealSys>;
type Checker = ByonmInNpmPackageChecker;
type Resolver = NodeResolver<Checker, DenoIsBuiltInNodeModuleChecker, Folders, RealSys>;
type Translator =
    NodeCodeTranslator<SourceAnalyzer, Checker, DenoIsBuiltInNodeModuleChecker, Folders, RealSys>;
/// What deno_node is given at start.
pub(crate) type Services = NodeExtInitServices<Checker, Folders, RealSys>;

/// How a file is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Module,
    CommonJs,
}

/// The sources of one component, as JavaScript, with their source maps.
pub(crate) struct Sources {
    application: String,
    readable: ReadableRoots,
    packages: Rc<PackageJsonResolver<RealSys>>,
    /// By file URL: what turns a stack into the user's lines.
    loaded: RefCell<HashMap<String, Arc<Transpiled>>>,
}

/// A file's JavaScript and how it is run.
pub(crate) struct Source {
    pub(crate) code: Arc<Transpiled>,
    pub(crate) format: Format,
}

impl Sources {
    /// Reads a file and makes JavaScript of it.
    pub(crate) fn read(&self, path: &Path) -> Result<Source, JsErrorBox> {
        let text = self.text(path)?;
        let url = file_url(path)?;
        let format = self.format(path, &url, &text)?;
        let code = self.compile(path, &url, &text)?;
        Ok(Source { code, format })
    }

    /// The text of a file that the component may read.
    pub(crate) fn text(&self, path: &Path) -> Result<String, JsErrorBox> {
        self.check(path)?;
        if path.extension().is_some_and(|extension| extension == "node") {
            return Err(JsErrorBox::generic(native_addon(path)));
        }
        let bytes = std::fs::read(path).map_err(|error| {
            JsErrorBox::type_error(format!("Cannot read module {}: {error}", path.display()))
        })?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
    }

    fn check(&self, path: &Path) -> Result<(), JsErrorBox> {
        // Through a link a file must not lead where its name does not.
        let real = path.canonicalize();
        let path = real.as_deref().unwrap_or(path);
        if self.readable.contain(path) {
            return Ok(());
        }
        Err(JsErrorBox::new("NotCapable", unreadable(&self.application, path)))
    }

    fn compile(
        &self,
        path: &Path,
        url: &ModuleSpecifier,
        text: &str,
    ) -> Result<Arc<Transpiled>, JsErrorBox> {
        let code = transpile(url, text).map_err(|error| match error {
            TranspileError::Parse(diagnostic) => {
                let shown = path.display().to_string();
                JsErrorBox::new("SyntaxError", diagnostic.to_string().replace(url.as_str(), &shown))
            }
            TranspileError::Transform(message) => JsErrorBox::new("SyntaxError", message),
        })?;
        self.loaded.borrow_mut().insert(url.to_string(), code.clone());
        Ok(code)
    }

    /// The source map of a loaded file, by its URL.
    pub(crate) fn source_map(&self, url: &str) -> Option<Vec<u8>> {
        self.loaded.borrow().get(url)?.source_map.clone()
    }

    /// Node's rule: the ending decides, then `type` of the nearest package.json, then the syntax.
    fn format(&self, path: &Path, url: &ModuleSpecifier, text: &str) -> Result<Format, JsErrorBox> {
        match MediaType::from_path(path) {
            MediaType::Mjs | MediaType::Mts => return Ok(Format::Module),
            MediaType::Cjs | MediaType::Cts => return Ok(Format::CommonJs),
            _ => {}
        }
        match self.package_type(path)? {
            PackageType::Module => Ok(Format::Module),
            PackageType::CommonJs | PackageType::Unknown if is_script(url, text) => {
                Ok(Format::CommonJs)
            }
            PackageType::CommonJs | PackageType::Unknown => Ok(Format::Module),
        }
    }

    fn package_type(&self, path: &Path) -> Result<PackageType, JsErrorBox> {
        let package = self.packages.get_closest_package_json(path).map_err(JsErrorBox::from_err)?;
        Ok(match package.as_ref().map(|package| package.typ.as_str()) {
            Some("module") => PackageType::Module,
            Some("commonjs") => PackageType::CommonJs,
            _ => PackageType::Unknown,
        })
    }
}

/// What the nearest package.json says of its `.js` files.
enum PackageType {
    Module,
    CommonJs,
    Unknown,
}

/// Whether a text has no syntax that only an ES module may have.
fn is_script(url: &ModuleSpecifier, text: &str) -> bool {
    let parsed = deno_ast::parse_program(ParseParams {
        specifier: url.clone(),
        text: text.into(),
        media_type: MediaType::from_specifier(url),
        capture_tokens: false,
        scope_analysis: false,
        maybe_syntax: None,
    });
    // What does not parse is reported by whoever runs it.
    parsed.is_ok_and(|parsed| parsed.compute_is_script())
}

fn file_url(path: &Path) -> Result<ModuleSpecifier, JsErrorBox> {
    ModuleSpecifier::from_file_path(path)
        .map_err(|()| JsErrorBox::type_error(format!("{} is not an absolute path", path.display())))
}

/// The packages of one component.
pub(crate) struct Packages {
    pub(crate) sources: Rc<Sources>,
    resolver: Rc<Resolver>,
    translator: Translator,
    services: Services,
}

impl Packages {
    pub(crate) fn new(application: &str, directory: &Path, readable: ReadableRoots) -> Packages {
        let packages =
            Rc::new(PackageJsonResolver::new(RealSys, Some(Rc::new(PackageJsonThreadLocalCache))));
        let sys = || NodeResolutionSys::new(RealSys, None);
        let folders = Folders::new(ByonmNpmResolverCreateOptions {
            root_node_modules_dir: None,
            search_stop_dir: directory.parent().and_then(|above| above.canonicalize().ok()),
            sys: sys(),
            pkg_json_resolver: packages.clone(),
        });
        let conditions = NodeConditionOptions {
            // Packages that know Deno expect its namespace, which components don't have.
            import_conditions_override: Some(
                ["node", "import", "module-sync"].map(Cow::Borrowed).to_vec(),
            ),
            ..NodeConditionOptions::default()
        };
        let resolver = Rc::new(Resolver::new(
            ByonmInNpmPackageChecker,
            DenoIsBuiltInNodeModuleChecker,
            folders.clone(),
            packages.clone(),
            sys(),
            NodeResolverOptions { conditions, ..NodeResolverOptions::default() },
        ));
        let sources = Rc::new(Sources {
            application: application.to_owned(),
            readable,
            packages: packages.clone(),
            loaded: RefCell::default(),
        });
        let analyzer = CjsModuleExportAnalyzer::new(
            SourceAnalyzer(sources.clone()),
            ByonmInNpmPackageChecker,
            resolver.clone(),
            folders,
            packages.clone(),
            RealSys,
        );
        let services = NodeExtInitServices {
            node_require_loader: Rc::new(RequireLoader(sources.clone())),
            node_resolver: resolver.clone(),
            pkg_json_resolver: packages,
            sys: RealSys,
        };
        Packages {
            sources,
            resolver,
            translator: Translator::new(Rc::new(analyzer), NodeCodeTranslatorMode::ModuleLoader),
            services,
        }
    }

    pub(crate) fn services(&self) -> Services {
        self.services.clone()
    }

    pub(crate) fn is_builtin(&self, specifier: &str) -> bool {
        self.resolver.is_builtin_node_module(specifier.trim_start_matches("node:"))
    }

    /// The URL of what a package's name, or a name beginning with `#`, means to an importing module.
    pub(crate) fn resolve(
        &self,
        specifier: &str,
        referrer: &ModuleSpecifier,
    ) -> Result<ModuleSpecifier, JsErrorBox> {
        let resolved = self
            .resolver
            .resolve(specifier, referrer, ResolutionMode::Import, NodeResolutionKind::Execution)
            .map_err(JsErrorBox::from_err)?;
        match resolved {
            NodeResolution::BuiltIn(name) => {
                let name = name.trim_start_matches("node:");
                ModuleSpecifier::parse(&format!("node:{name}")).map_err(JsErrorBox::from_err)
            }
            module => module.into_url().map_err(JsErrorBox::from_err),
        }
    }

    /// The wrapper by which ES modules import a CommonJS module.
    pub(crate) async fn wrapper(
        &self,
        url: &ModuleSpecifier,
        source: &str,
    ) -> Result<String, JsErrorBox> {
        self.translator
            .translate_cjs_to_esm(url, Some(Cow::Borrowed(source)))
            .await
            .map(Cow::into_owned)
            .map_err(JsErrorBox::from_err)
    }
}

/// Finds the names that a CommonJS module exports.
struct SourceAnalyzer(Rc<Sources>);

impl SourceAnalyzer {
    fn parse(
        &self,
        url: &ModuleSpecifier,
        source: &str,
    ) -> Result<deno_ast::ParsedSource, JsErrorBox> {
        deno_ast::parse_program(ParseParams {
            specifier: url.clone(),
            text: source.into(),
            // Types are gone already.
            media_type: MediaType::JavaScript,
            capture_tokens: true,
            scope_analysis: false,
            maybe_syntax: None,
        })
        .map_err(JsErrorBox::from_err)
    }
}

#[async_trait::async_trait(?Send)]
impl CjsCodeAnalyzer for SourceAnalyzer {
    async fn analyze_cjs<'a>(
        &self,
        specifier: &ModuleSpecifier,
        source: Option<Cow<'a, str>>,
        _mode: EsmAnalysisMode,
    ) -> Result<CjsAnalysis<'a>, JsErrorBox> {
        let none = CjsAnalysisExports {
            exports: Vec::new(),
            reexports: Vec::new(),
            member_reexports: Vec::new(),
        };
        let path = specifier
            .to_file_path()
            .map_err(|()| JsErrorBox::type_error(format!("{specifier} is not a file")))?;
        let media_type = MediaType::from_path(&path);
        if matches!(media_type, MediaType::Json)
            || path.extension().is_some_and(|extension| extension == "node")
        {
            return Ok(CjsAnalysis::Cjs(none));
        }
        let source = match source {
            Some(source) => source,
            None => Cow::Owned(self.0.read(&path)?.code.code.clone()),
        };
        let parsed = self.parse(specifier, &source)?;
        if !parsed.compute_is_script() {
            // A module that is `require`d: its names, so that they can be passed on.
            let exports = parsed.analyze_es_runtime_exports().exports;
            return Ok(CjsAnalysis::Cjs(CjsAnalysisExports { exports, ..none }));
        }
        let found = parsed.analyze_cjs();
        Ok(CjsAnalysis::Cjs(CjsAnalysisExports {
            exports: found.exports,
            reexports: found.reexports,
            ..none
        }))
    }

    async fn analyze_cjs_member_props<'a>(
        &self,
        _specifier: &ModuleSpecifier,
        _source: Option<Cow<'a, str>>,
        _member: &str,
    ) -> Result<Option<Vec<String>>, JsErrorBox> {
        Ok(None)
    }
}

/// What `require` reads.
struct RequireLoader(Rc<Sources>);

impl NodeRequireLoader for RequireLoader {
    fn ensure_read_permission<'a>(
        &self,
        _permissions: &mut PermissionsContainer,
        path: Cow<'a, Path>,
    ) -> Result<Cow<'a, Path>, JsErrorBox> {
        // Looking for a file that is not there tells nothing and must not fail the search.
        if path.exists() {
            self.0.check(&path)?;
        }
        Ok(path)
    }

    fn load_text_file_lossy(&self, path: &Path) -> Result<FastString, JsErrorBox> {
        if MediaType::from_path(path) == MediaType::Json {
            return self.0.text(path).map(FastString::from);
        }
        let text = self.0.text(path)?;
        let code = self.0.compile_for_require(path, &text)?;
        Ok(FastString::from(code))
    }

    fn is_maybe_cjs(&self, specifier: &ModuleSpecifier) -> Result<bool, PackageJsonLoadError> {
        let Ok(path) = specifier.to_file_path() else { return Ok(false) };
        Ok(match MediaType::from_path(&path) {
            MediaType::Mjs | MediaType::Mts => false,
            MediaType::Cjs | MediaType::Cts => true,
            _ => self
                .0
                .packages
                .get_closest_package_json(&path)?
                .is_none_or(|package| package.typ != "module"),
        })
    }

    fn is_maybe_cjs_from_require(
        &self,
        specifier: &ModuleSpecifier,
    ) -> Result<bool, PackageJsonLoadError> {
        self.is_maybe_cjs(specifier)
    }

    fn resolve_require_node_module_paths(&self, from: &Path) -> Vec<String> {
        from.ancestors()
            .filter(|folder| !folder.ends_with("node_modules"))
            .map(|folder: &Path| folder.join("node_modules"))
            .filter(|folder: &PathBuf| self.0.readable.contain(folder))
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect()
    }
}

impl Sources {
    /// JavaScript for `require`: TypeScript is compiled, everything else is left to the engine, which
    /// knows scripts that the compiler refuses (`return` at the top, sloppy mode).
    fn compile_for_require(&self, path: &Path, text: &str) -> Result<String, JsErrorBox> {
        if !MediaType::from_path(path).is_emittable() {
            return Ok(text.to_owned());
        }
        Ok(self.compile(path, &file_url(path)?, text)?.code.clone())
    }
}
