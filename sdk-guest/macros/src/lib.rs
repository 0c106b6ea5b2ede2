//! The `#[resource]` attribute: use it through `kora_guest::resource`, which documents it.

mod resource;

use proc_macro::TokenStream;

/// Makes the methods of an `impl` block the verbs of a resource.
///
/// `#[resource(path = "Dog", table = "Dog", public)]`: `path` is where it answers, below the component's URL (default:
/// the type's name); `table` names the table whose keys the ids in its URLs are; `public` lets anybody call it, where
/// otherwise only super users pass.
#[proc_macro_attribute]
pub fn resource(arguments: TokenStream, block: TokenStream) -> TokenStream {
    let arguments = syn::parse_macro_input!(arguments as resource::Arguments);
    let block = syn::parse_macro_input!(block as syn::ItemImpl);
    resource::expand(&arguments, block).unwrap_or_else(syn::Error::into_compile_error).into()
}
