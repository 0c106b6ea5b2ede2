// What reads of one table give: a record as its target wants it, and searches (harper-resources.md
// sections 4 to 6). Who may read what was decided before; here it is applied.
import { op_kora_explain, op_kora_search } from "ext:core/ops";
import type { TableInfo } from "ext:kora/harperdb/attributes.ts";
import type { Context } from "ext:kora/harperdb/context.ts";
import { TableRecord } from "ext:kora/harperdb/record.ts";
import type { Relationships } from "ext:kora/harperdb/relations.ts";
import { SearchResult } from "ext:kora/harperdb/search.ts";
import { columns, queryOf } from "ext:kora/harperdb/table_arguments.ts";
import { queryOptions, RequestTarget } from "ext:kora/harperdb/target.ts";
import { readNumber } from "ext:kora/harperdb/transaction.ts";

export class TableReads {
  #number: number;
  #info: TableInfo;
  #relationships: Relationships;

  constructor(number: number, info: TableInfo, relationships: Relationships) {
    this.#number = number;
    this.#info = info;
    this.#relationships = relationships;
  }

  /** What of a record its target asks for: a property, what `select` names, or `whole`. */
  show(record: any, target: RequestTarget, context: Context | undefined, whole: () => any): any {
    (target as any).loadedFromSource = context?.loadedFromSource;
    if (record === undefined) return undefined;
    const version = TableRecord.versionOf(record);
    if (context && !(context.lastModified! >= version)) context.lastModified = version;
    const { property } = target;
    if (property !== undefined) {
      return this.#relationships.restricts(target, property)
        ? this.#selected(target, context, "", { select: property })
        : record[property];
    }
    const { search, options } = target.query();
    const isShaped = search !== "" || options?.select || this.#relationships.restricts(target);
    return isShaped ? this.#selected(target, context, search, options) : whole();
  }

  /** One record with a `select` of its own. */
  #selected(target: RequestTarget, context: Context | undefined, search: string, options: any): unknown {
    const one = { ...options, record: target.id, ...this.#relationships.restriction(target) };
    const found = op_kora_search(readNumber(context), this.#number, search, one);
    for (const row of new SearchResult(found, undefined, this.#number)) return row;
    return undefined;
  }

  /** A search by a target, with more conditions in `data`: a list of them, or a query's parts. */
  search(target: any, data: any, context: Context | undefined): SearchResult {
    const asked = target instanceof RequestTarget
      ? target.query()
      : { search: "", options: queryOptions(target) };
    const given = data instanceof RequestTarget ? data.query().options : data && queryOf(data);
    const options: any = { ...asked.options, ...given, ...this.#relationships.restriction(target) };
    if (target.id !== null && target.id !== undefined && target.isCollection) {
      options.idPrefix = target.id;
    }
    const found = op_kora_search(readNumber(context), this.#number, asked.search, options);
    if (options.explain) return op_kora_explain(found);
    return new SearchResult(found, () => columns(this.#info, options.select), this.#number);
  }
}
