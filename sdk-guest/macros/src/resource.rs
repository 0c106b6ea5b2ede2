//! From an `impl` block to an implementation of `Described`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Result, Token};

/// The methods that become verbs.
const VERBS: [&str; 7] = ["get", "put", "patch", "post", "delete", "query", "publish"];

/// What stands in the attribute's parentheses.
#[derive(Default)]
pub(crate) struct Arguments {
    path: Option<LitStr>,
    table: Option<LitStr>,
    public: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "public" => arguments.public = true,
                "path" => arguments.path = Some(value(input)?),
                "table" => arguments.table = Some(value(input)?),
                other => {
                    let message = format!("unknown argument `{other}`: path, table or public");
                    return Err(Error::new(name.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

fn value(input: ParseStream<'_>) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

pub(crate) fn expand(arguments: &Arguments, block: ItemImpl) -> Result<TokenStream> {
    if let Some((_, of, _)) = &block.trait_ {
        return Err(Error::new(
            of.span(),
            "#[resource] belongs on an `impl` block of the type itself",
        ));
    }
    let ty = &block.self_ty;
    let methods: Vec<_> = block
        .items
        .iter()
        .filter_map(|item| match item {
            ImplItem::Fn(method) => Some(method),
            _ => None,
        })
        .collect();
    let named = |name: &str| methods.iter().find(|method| method.sig.ident == name).copied();
    let verbs: Vec<_> =
        VERBS.into_iter().filter_map(|verb| named(verb).map(|method| (verb, method))).collect();
    let connect = named("connect");
    if verbs.is_empty() && connect.is_none() {
        let message = format!("a resource needs at least one of {} or connect", VERBS.join(", "));
        return Err(Error::new(ty.span(), message));
    }
    let path = match &arguments.path {
        Some(path) => path.clone(),
        None => LitStr::new(&quote!(#ty).to_string().replace(' ', ""), ty.span()),
    };
    let table = match &arguments.table {
        Some(table) => quote!(::core::option::Option::Some(#table)),
        None => quote!(::core::option::Option::None),
    };
    let public = arguments.public;
    let described = verbs.iter().map(|(verb, method)| describe(verb, method)).collect::<Vec<_>>();
    let connects = match connect {
        Some(method) => {
            let method = describe("connect", method);
            quote!(::core::option::Option::Some(#method))
        }
        None => quote!(::core::option::Option::None),
    };
    let arms = verbs
        .iter()
        .map(|(verb, method)| {
            let (extract, arguments) = arguments_of(method)?;
            let name = &method.sig.ident;
            Ok(quote! {
                #verb => {
                    #(#extract)*
                    ::kora_guest::IntoReply::into_reply(self.#name(#(#arguments),*).await)
                }
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let connect = match connect {
        Some(method) => {
            let (extract, arguments) = arguments_of(method)?;
            quote! {
                #(#extract)*
                let stream = self.connect(#(#arguments),*).await?;
                ::core::result::Result::Ok(::std::boxed::Box::pin(stream))
            }
        }
        None => {
            quote!(::core::result::Result::Err(::kora_guest::internal::missing(#path, "connect")))
        }
    };
    Ok(quote! {
        #block

        impl ::kora_guest::internal::Described for #ty {
            const DEFINITION: ::kora_guest::internal::Definition = ::kora_guest::internal::Definition {
                path: #path,
                verbs: &[#(#described),*],
                connect: #connects,
                table: #table,
                public: #public,
            };

            #[allow(unused_mut, unused_variables)]
            async fn handle(
                &'static self,
                mut call: ::kora_guest::internal::Call,
            ) -> ::kora_guest::Result<::kora_guest::Reply> {
                match call.verb.as_str() {
                    #(#arms)*
                    other => ::core::result::Result::Err(::kora_guest::internal::missing(#path, other)),
                }
            }

            #[allow(unused_mut, unused_variables)]
            async fn connect(
                &'static self,
                mut call: ::kora_guest::internal::Call,
            ) -> ::kora_guest::Result<::kora_guest::internal::Outgoing> {
                #connect
            }
        }
    })
}

/// A `Method` of the definition.
fn describe(name: &str, method: &ImplItemFn) -> TokenStream {
    let types = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(&parameter.ty),
        FnArg::Receiver(_) => None,
    });
    quote! {
        ::kora_guest::internal::Method {
            name: #name,
            reads_context: false #(|| <#types as ::kora_guest::FromCall>::READS_CONTEXT)*,
        }
    }
}

/// The statements that take a method's parameters out of `call`, and their names.
fn arguments_of(method: &ImplItemFn) -> Result<(Vec<TokenStream>, Vec<Ident>)> {
    if method.sig.asyncness.is_none() {
        return Err(Error::new(method.sig.fn_token.span, "a verb of a resource is an `async fn`"));
    }
    let mut inputs = method.sig.inputs.iter();
    if !matches!(inputs.next(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some()) {
        return Err(Error::new(method.sig.ident.span(), "a verb of a resource takes `&self`"));
    }
    let mut extract = Vec::new();
    let mut names = Vec::new();
    for (number, input) in inputs.enumerate() {
        let FnArg::Typed(parameter) = input else { continue };
        let (name, ty) = (format_ident!("argument{number}"), &parameter.ty);
        extract.push(quote! {
            let #name = <#ty as ::kora_guest::FromCall>::from_call(&mut call)?;
        });
        names.push(name);
    }
    Ok((extract, names))
}
