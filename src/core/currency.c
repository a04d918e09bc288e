/*
 * Currencies of ISO 4217 and the check of amounts against their decimals.
 */
#include "postgres.h"

#include "core/core.h"
#include "core/stream.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#define CURRENCY_CODE_LEN 3
#define CURRENCY_NO_MINOR_UNIT (-1)
#define CURRENCY_ISO_COLUMNS 5

/* Bytes of an offending value that an error message repeats. */
#define CURRENCY_QUOTE_MAX 64

typedef struct Currency
{
	char code[CURRENCY_CODE_LEN + 1];
	int16 numeric_code;
	int8 minor_unit; /* decimals, or CURRENCY_NO_MINOR_UNIT */
	bool historic;   /* withdrawn from the active list */
	const char *name;
} Currency;

/*
 * ISO 4217, sorted by code: every code of the active list, and those
 * withdrawn in 2009 or later, which old bookings still carry. Source: the
 * lists "active" and "historic" of the ISO 4217 maintenance agency.
 */
/* clang-format off */
static const Currency currency_list[] = {
	{"AED", 784, 2, false, "UAE Dirham"},
	{"AFN", 971, 2, false, "Afghani"},
	{"ALL", 8, 2, false, "Lek"},
	{"AMD", 51, 2, false, "Armenian Dram"},
	{"ANG", 532, 2, true, "Netherlands Antillean Guilder"},
	{"AOA", 973, 2, false, "Kwanza"},
	{"ARS", 32, 2, false, "Argentine Peso"},
	{"AUD", 36, 2, false, "Australian Dollar"},
	{"AWG", 533, 2, false, "Aruban Florin"},
	{"AZN", 944, 2, false, "Azerbaijan Manat"},
	{"BAM", 977, 2, false, "Convertible Mark"},
	{"BBD", 52, 2, false, "Barbados Dollar"},
	{"BDT", 50, 2, false, "Taka"},
	{"BGN", 975, 2, true, "Bulgarian Lev"},
	{"BHD", 48, 3, false, "Bahraini Dinar"},
	{"BIF", 108, 0, false, "Burundi Franc"},
	{"BMD", 60, 2, false, "Bermudian Dollar"},
	{"BND", 96, 2, false, "Brunei Dollar"},
	{"BOB", 68, 2, false, "Boliviano"},
	{"BOV", 984, 2, false, "Mvdol"},
	{"BRL", 986, 2, false, "Brazilian Real"},
	{"BSD", 44, 2, false, "Bahamian Dollar"},
	{"BTN", 64, 2, false, "Ngultrum"},
	{"BWP", 72, 2, false, "Pula"},
	{"BYN", 933, 2, false, "Belarusian Ruble"},
	{"BYR", 974, 0, true, "Belarusian Ruble (before 2016)"},
	{"BZD", 84, 2, false, "Belize Dollar"},
	{"CAD", 124, 2, false, "Canadian Dollar"},
	{"CDF", 976, 2, false, "Congolese Franc"},
	{"CHE", 947, 2, false, "WIR Euro"},
	{"CHF", 756, 2, false, "Swiss Franc"},
	{"CHW", 948, 2, false, "WIR Franc"},
	{"CLF", 990, 4, false, "Unidad de Fomento"},
	{"CLP", 152, 0, false, "Chilean Peso"},
	{"CNY", 156, 2, false, "Yuan Renminbi"},
	{"COP", 170, 2, false, "Colombian Peso"},
	{"COU", 970, 2, false, "Unidad de Valor Real"},
	{"CRC", 188, 2, false, "Costa Rican Colon"},
	{"CUC", 931, 2, true, "Peso Convertible"},
	{"CUP", 192, 2, false, "Cuban Peso"},
	{"CVE", 132, 2, false, "Cabo Verde Escudo"},
	{"CZK", 203, 2, false, "Czech Koruna"},
	{"DJF", 262, 0, false, "Djibouti Franc"},
	{"DKK", 208, 2, false, "Danish Krone"},
	{"DOP", 214, 2, false, "Dominican Peso"},
	{"DZD", 12, 2, false, "Algerian Dinar"},
	{"EEK", 233, 2, true, "Estonian Kroon"},
	{"EGP", 818, 2, false, "Egyptian Pound"},
	{"ERN", 232, 2, false, "Nakfa"},
	{"ETB", 230, 2, false, "Ethiopian Birr"},
	{"EUR", 978, 2, false, "Euro"},
	{"FJD", 242, 2, false, "Fiji Dollar"},
	{"FKP", 238, 2, false, "Falkland Islands Pound"},
	{"GBP", 826, 2, false, "Pound Sterling"},
	{"GEL", 981, 2, false, "Lari"},
	{"GHS", 936, 2, false, "Ghana Cedi"},
	{"GIP", 292, 2, false, "Gibraltar Pound"},
	{"GMD", 270, 2, false, "Dalasi"},
	{"GNF", 324, 0, false, "Guinean Franc"},
	{"GTQ", 320, 2, false, "Quetzal"},
	{"GYD", 328, 2, false, "Guyana Dollar"},
	{"HKD", 344, 2, false, "Hong Kong Dollar"},
	{"HNL", 340, 2, false, "Lempira"},
	{"HRK", 191, 2, true, "Kuna"},
	{"HTG", 332, 2, false, "Gourde"},
	{"HUF", 348, 2, false, "Forint"},
	{"IDR", 360, 2, false, "Rupiah"},
	{"ILS", 376, 2, false, "New Israeli Sheqel"},
	{"INR", 356, 2, false, "Indian Rupee"},
	{"IQD", 368, 3, false, "Iraqi Dinar"},
	{"IRR", 364, 2, false, "Iranian Rial"},
	{"ISK", 352, 0, false, "Iceland Krona"},
	{"JMD", 388, 2, false, "Jamaican Dollar"},
	{"JOD", 400, 3, false, "Jordanian Dinar"},
	{"JPY", 392, 0, false, "Yen"},
	{"KES", 404, 2, false, "Kenyan Shilling"},
	{"KGS", 417, 2, false, "Som"},
	{"KHR", 116, 2, false, "Riel"},
	{"KMF", 174, 0, false, "Comorian Franc"},
	{"KPW", 408, 2, false, "North Korean Won"},
	{"KRW", 410, 0, false, "Won"},
	{"KWD", 414, 3, false, "Kuwaiti Dinar"},
	{"KYD", 136, 2, false, "Cayman Islands Dollar"},
	{"KZT", 398, 2, false, "Tenge"},
	{"LAK", 418, 2, false, "Lao Kip"},
	{"LBP", 422, 2, false, "Lebanese Pound"},
	{"LKR", 144, 2, false, "Sri Lanka Rupee"},
	{"LRD", 430, 2, false, "Liberian Dollar"},
	{"LSL", 426, 2, false, "Loti"},
	{"LTL", 440, 2, true, "Lithuanian Litas"},
	{"LVL", 428, 2, true, "Latvian Lats"},
	{"LYD", 434, 3, false, "Libyan Dinar"},
	{"MAD", 504, 2, false, "Moroccan Dirham"},
	{"MDL", 498, 2, false, "Moldovan Leu"},
	{"MGA", 969, 2, false, "Malagasy Ariary"},
	{"MKD", 807, 2, false, "Denar"},
	{"MMK", 104, 2, false, "Kyat"},
	{"MNT", 496, 2, false, "Tugrik"},
	{"MOP", 446, 2, false, "Pataca"},
	{"MRO", 478, 2, true, "Mauritanian Ouguiya (before 2018)"},
	{"MRU", 929, 2, false, "Ouguiya"},
	{"MUR", 480, 2, false, "Mauritius Rupee"},
	{"MVR", 462, 2, false, "Rufiyaa"},
	{"MWK", 454, 2, false, "Malawi Kwacha"},
	{"MXN", 484, 2, false, "Mexican Peso"},
	{"MXV", 979, 2, false, "Mexican Unidad de Inversion"},
	{"MYR", 458, 2, false, "Malaysian Ringgit"},
	{"MZN", 943, 2, false, "Mozambique Metical"},
	{"NAD", 516, 2, false, "Namibia Dollar"},
	{"NGN", 566, 2, false, "Naira"},
	{"NIO", 558, 2, false, "Cordoba Oro"},
	{"NOK", 578, 2, false, "Norwegian Krone"},
	{"NPR", 524, 2, false, "Nepalese Rupee"},
	{"NZD", 554, 2, false, "New Zealand Dollar"},
	{"OMR", 512, 3, false, "Rial Omani"},
	{"PAB", 590, 2, false, "Balboa"},
	{"PEN", 604, 2, false, "Sol"},
	{"PGK", 598, 2, false, "Kina"},
	{"PHP", 608, 2, false, "Philippine Peso"},
	{"PKR", 586, 2, false, "Pakistan Rupee"},
	{"PLN", 985, 2, false, "Zloty"},
	{"PYG", 600, 0, false, "Guarani"},
	{"QAR", 634, 2, false, "Qatari Rial"},
	{"RON", 946, 2, false, "Romanian Leu"},
	{"RSD", 941, 2, false, "Serbian Dinar"},
	{"RUB", 643, 2, false, "Russian Ruble"},
	{"RWF", 646, 0, false, "Rwanda Franc"},
	{"SAR", 682, 2, false, "Saudi Riyal"},
	{"SBD", 90, 2, false, "Solomon Islands Dollar"},
	{"SCR", 690, 2, false, "Seychelles Rupee"},
	{"SDG", 938, 2, false, "Sudanese Pound"},
	{"SEK", 752, 2, false, "Swedish Krona"},
	{"SGD", 702, 2, false, "Singapore Dollar"},
	{"SHP", 654, 2, false, "Saint Helena Pound"},
	{"SKK", 703, 2, true, "Slovak Koruna"},
	{"SLE", 925, 2, false, "Leone"},
	{"SLL", 694, 2, true, "Leone (before 2022)"},
	{"SOS", 706, 2, false, "Somali Shilling"},
	{"SRD", 968, 2, false, "Surinam Dollar"},
	{"SSP", 728, 2, false, "South Sudanese Pound"},
	{"STD", 678, 2, true, "Dobra (before 2018)"},
	{"STN", 930, 2, false, "Dobra"},
	{"SVC", 222, 2, false, "El Salvador Colon"},
	{"SYP", 760, 2, false, "Syrian Pound"},
	{"SZL", 748, 2, false, "Lilangeni"},
	{"THB", 764, 2, false, "Baht"},
	{"TJS", 972, 2, false, "Somoni"},
	{"TMM", 795, 2, true, "Turkmenistan Manat (before 2009)"},
	{"TMT", 934, 2, false, "Turkmenistan New Manat"},
	{"TND", 788, 3, false, "Tunisian Dinar"},
	{"TOP", 776, 2, false, "Pa'anga"},
	{"TRY", 949, 2, false, "Turkish Lira"},
	{"TTD", 780, 2, false, "Trinidad and Tobago Dollar"},
	{"TWD", 901, 2, false, "New Taiwan Dollar"},
	{"TZS", 834, 2, false, "Tanzanian Shilling"},
	{"UAH", 980, 2, false, "Hryvnia"},
	{"UGX", 800, 0, false, "Uganda Shilling"},
	{"USD", 840, 2, false, "US Dollar"},
	{"USN", 997, 2, false, "US Dollar (Next day)"},
	{"USS", 998, 2, true, "US Dollar (Same day)"},
	{"UYI", 940, 0, false, "Uruguay Peso en Unidades Indexadas"},
	{"UYU", 858, 2, false, "Peso Uruguayo"},
	{"UYW", 927, 4, false, "Unidad Previsional"},
	{"UZS", 860, 2, false, "Uzbekistan Sum"},
	{"VED", 926, 2, false, "Bolivar Soberano (digital)"},
	{"VEF", 937, 2, true, "Bolivar Fuerte"},
	{"VES", 928, 2, false, "Bolivar Soberano"},
	{"VND", 704, 0, false, "Dong"},
	{"VUV", 548, 0, false, "Vatu"},
	{"WST", 882, 2, false, "Tala"},
	{"XAD", 396, 2, false, "Arab Accounting Dinar"},
	{"XAF", 950, 0, false, "CFA Franc BEAC"},
	{"XAG", 961, -1, false, "Silver"},
	{"XAU", 959, -1, false, "Gold"},
	{"XBA", 955, -1, false, "Bond Markets Unit European Composite Unit"},
	{"XBB", 956, -1, false, "Bond Markets Unit European Monetary Unit"},
	{"XBC", 957, -1, false, "Bond Markets Unit European Unit of Account 9"},
	{"XBD", 958, -1, false, "Bond Markets Unit European Unit of Account 17"},
	{"XCD", 951, 2, false, "East Caribbean Dollar"},
	{"XCG", 532, 2, false, "Caribbean Guilder"},
	{"XDR", 960, -1, false, "SDR (Special Drawing Right)"},
	{"XOF", 952, 0, false, "CFA Franc BCEAO"},
	{"XPD", 964, -1, false, "Palladium"},
	{"XPF", 953, 0, false, "CFP Franc"},
	{"XPT", 962, -1, false, "Platinum"},
	{"XSU", 994, -1, false, "Sucre"},
	{"XTS", 963, -1, false, "Code for testing"},
	{"XUA", 965, -1, false, "ADB Unit of Account"},
	{"XXX", 999, -1, false, "No currency"},
	{"YER", 886, 2, false, "Yemeni Rial"},
	{"ZAR", 710, 2, false, "Rand"},
	{"ZMK", 894, 2, true, "Zambian Kwacha (before 2013)"},
	{"ZMW", 967, 2, false, "Zambian Kwacha"},
	{"ZWG", 924, 2, false, "Zimbabwe Gold"},
	{"ZWL", 932, 2, true, "Zimbabwe Dollar (2009)"},
	{"ZWR", 935, 2, true, "Zimbabwe Dollar (2008)"},
};
/* clang-format on */

/* Compares a code of three bytes with an entry, for bsearch. */
static int
currency_compare(const void *code, const void *entry)
{
	return memcmp(code, ((const Currency *) entry)->code, CURRENCY_CODE_LEN);
}

/* The entry of a code, or NULL when the list has none. */
static const Currency *
currency_find(const char *code, Size length)
{
	if (length != CURRENCY_CODE_LEN)
		return NULL;
	return bsearch(code, currency_list, lengthof(currency_list),
				   sizeof(Currency), currency_compare);
}

/*
 * Number of decimals of a currency; -1 when the code is not in ISO 4217 or
 * has no minor unit.
 */
int
core_currency_minor_unit(const char *code)
{
	const Currency *currency = currency_find(code, strlen(code));

	return currency ? currency->minor_unit : CURRENCY_NO_MINOR_UNIT;
}

/* The entry of a code given as text, or NULL. */
static const Currency *
currency_find_text(const text *code)
{
	return currency_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
}

/* A palloc'd copy of a value, cut to what an error message can take. */
static char *
currency_quote(const char *value, Size length)
{
	int cut = pg_mbcliplen(value, (int) length, CURRENCY_QUOTE_MAX);

	if ((Size) cut == length)
		return pnstrdup(value, length);
	return psprintf("%.*s...", cut, value);
}

/* An amount as an error message shows it. */
static char *
currency_quote_amount(Numeric amount)
{
	char *digits = DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(amount)));

	return currency_quote(digits, strlen(digits));
}

/* The entry of a code; an error when the list has none. */
static const Currency *
currency_get(const text *code)
{
	const Currency *currency = currency_find_text(code);

	if (currency == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("currency \"%s\" is not in ISO 4217",
							   currency_quote(VARDATA_ANY(code),
											  VARSIZE_ANY_EXHDR(code))),
						errhint("List the currencies with SELECT * FROM "
								"iaros.currency_iso().")));
	return currency;
}

/* The entry of a code in which amounts can be stated; an error otherwise. */
static const Currency *
currency_get_payable(const text *code)
{
	const Currency *currency = currency_get(code);

	if (currency->minor_unit == CURRENCY_NO_MINOR_UNIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("currency \"%s\" has no minor unit", currency->code),
				 errdetail("ISO 4217 gives no number of decimals for "
						   "%s (%s).",
						   currency->code, currency->name),
				 errhint("State the amount in a currency that prices "
						 "are paid in.")));
	return currency;
}

/* Raises the error of an amount that its currency cannot hold. */
static void
currency_refuse_amount(Numeric amount, const Currency *currency)
{
	const char *quoted = currency_quote_amount(amount);

	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("amount \"%s\" is not finite", quoted),
						errhint("Use NULL for an amount that is not known.")));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("amount \"%s\" has too many decimals for currency \"%s\"",
					quoted, currency->code),
			 currency->minor_unit == 0
				 ? errdetail("%s has no decimals.", currency->code)
				 : errdetail("%s has %d decimals.", currency->code,
							 currency->minor_unit),
			 errhint("Round it with iaros.money_round(amount, currency).")));
}

/* Fills in a row of currency_iso(). */
static void
currency_row(const CoreRows *rows, uint64 i, const bool *wanted, Datum *values,
			 bool *nulls)
{
	const Currency *currency = &currency_list[i];

	memset(nulls, false, CURRENCY_ISO_COLUMNS * sizeof(bool));
	values[0] = CStringGetTextDatum(currency->code);
	values[1] = Int16GetDatum(currency->numeric_code);
	values[2] = Int16GetDatum(currency->minor_unit);
	nulls[2] = currency->minor_unit == CURRENCY_NO_MINOR_UNIT;
	values[3] = CStringGetTextDatum(currency->name);
	values[4] = BoolGetDatum(currency->historic);
}

PG_FUNCTION_INFO_V1(currency_iso);

/* SQL: currency_iso() */
PGDLLEXPORT Datum
currency_iso(PG_FUNCTION_ARGS)
{
	const CoreRows rows = {.n = lengthof(currency_list), .get = currency_row};

	return core_rows_return(fcinfo, &rows);
}

PG_FUNCTION_INFO_V1(currency_minor_unit);

/* SQL: currency_minor_unit(currency text) */
PGDLLEXPORT Datum
currency_minor_unit(PG_FUNCTION_ARGS)
{
	const Currency *currency = currency_get(PG_GETARG_TEXT_PP(0));

	if (currency->minor_unit == CURRENCY_NO_MINOR_UNIT)
		PG_RETURN_NULL();
	PG_RETURN_INT32(currency->minor_unit);
}

PG_FUNCTION_INFO_V1(money_valid);

/* SQL: money_valid(amount numeric, currency text) */
PGDLLEXPORT Datum
money_valid(PG_FUNCTION_ARGS)
{
	Numeric amount = (Numeric) PG_GETARG_VARLENA_PP(0);
	const Currency *currency = currency_find_text(PG_GETARG_TEXT_PP(1));

	PG_RETURN_BOOL(currency != NULL &&
				   currency->minor_unit != CURRENCY_NO_MINOR_UNIT &&
				   core_numeric_fits_scale(amount, currency->minor_unit));
}

PG_FUNCTION_INFO_V1(money_check);

/* SQL: money_check(amount numeric, currency text) */
PGDLLEXPORT Datum
money_check(PG_FUNCTION_ARGS)
{
	Numeric amount = (Numeric) PG_GETARG_VARLENA_PP(0);
	const Currency *currency = currency_get_payable(PG_GETARG_TEXT_PP(1));

	if (!core_numeric_fits_scale(amount, currency->minor_unit))
		currency_refuse_amount(PG_GETARG_NUMERIC(0), currency);
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(money_round);

/* SQL: money_round(amount numeric, currency text) */
PGDLLEXPORT Datum
money_round(PG_FUNCTION_ARGS)
{
	Datum amount = PG_GETARG_DATUM(0);
	const Currency *currency = currency_get_payable(PG_GETARG_TEXT_PP(1));

	return DirectFunctionCall2(numeric_round, amount,
							   Int32GetDatum(currency->minor_unit));
}
