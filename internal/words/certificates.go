package words

// certificates is the meaning of certificates, above all of Kazakhstan's
// National Certification Authority; the keys are those of package kzpki.
var certificates = []entry{
	{"cert.purpose.other", "Басқа мақсат", "Другое назначение", "Other purpose"},
	{"cert.purpose.authentication", "Аутентификация", "Аутентификация", "Authentication"},
	{"cert.purpose.signing", "Электрондық цифрлық қолтаңба", "Электронная цифровая подпись", "Digital signature"},
	{
		"cert.purpose.authentication-and-signing", "Аутентификация және электрондық цифрлық қолтаңба",
		"Аутентификация и электронная цифровая подпись", "Authentication and digital signature",
	},
	{"cert.purpose.authority", "Сертификаттар шығару", "Выпуск сертификатов", "Issuing certificates"},

	{"cert.holder.unknown", "Көрсетілмеген", "Не указан", "Not stated"},
	{"cert.holder.individual", "Жеке тұлға", "Физическое лицо", "Individual"},
	{
		"cert.holder.individual-system", "Жеке тұлғаның ақпараттық жүйесі",
		"Информационная система физического лица", "Information system of an individual",
	},
	{"cert.holder.legal-entity", "Заңды тұлға", "Юридическое лицо", "Legal entity"},
	{
		"cert.holder.legal-entity-system", "Заңды тұлғаның ақпараттық жүйесі",
		"Информационная система юридического лица", "Information system of a legal entity",
	},
	{"cert.holder.authority", "Куәландырушы орталық", "Удостоверяющий центр", "Certification authority"},

	{"cert.role.head", "Бірінші басшы", "Первый руководитель", "Head of the organisation"},
	{"cert.role.signer", "Қол қою құқығы бар тұлға", "Лицо, наделённое правом подписи", "Has the right to sign"},
	{
		"cert.role.financial-signer", "Қаржы құжаттарына қол қою құқығы бар тұлға",
		"Лицо, наделённое правом подписи финансовых документов", "Has the right to sign financial documents",
	},
	{
		"cert.role.human-resources", "Қызметкерлердің өтінімдерін растайтын кадр бөлімінің қызметкері",
		"Сотрудник отдела кадров, подтверждающий заявки сотрудников", "Human-resources employee who confirms employees' requests",
	},
	{"cert.role.employee", "Ұйым қызметкері", "Сотрудник организации", "Employee of the organisation"},
	{"cert.role.nca-rights", "ҰКО жүйесіндегі құқықтар", "Права в системе НУЦ", "Rights in the authority's system"},
	{"cert.role.nca-administrator", "ҰКО жүйесінің әкімшісі", "Администратор системы НУЦ", "Administrator of the authority's system"},
	{"cert.role.nca-manager", "ҰКО жүйесінің менеджері", "Менеджер системы НУЦ", "Manager of the authority's system"},
	{"cert.role.nca-operator", "ҰКО жүйесінің операторы", "Оператор системы НУЦ", "Operator of the authority's system"},
	{"cert.role.identified", "Тұлға сәйкестендірілген", "Личность установлена", "Identified"},
	{"cert.role.identified-in-person", "Тұлға жеке қатысуымен сәйкестендірілген", "Личность установлена очно", "Identified in person"},
	{"cert.role.identified-remotely", "Тұлға қашықтан сәйкестендірілген", "Личность установлена дистанционно", "Identified remotely"},

	{
		"cert.policy.legal-entity-signing", "Заңды тұлғалардың электрондық цифрлық қолтаңбасы",
		"Электронная цифровая подпись юридических лиц", "Digital signature of legal entities",
	},
	{
		"cert.policy.legal-entity-authentication", "Заңды тұлғалардың аутентификациясы",
		"Аутентификация юридических лиц", "Authentication of legal entities",
	},
	{
		"cert.policy.individual-signing", "Жеке тұлғалардың электрондық цифрлық қолтаңбасы",
		"Электронная цифровая подпись физических лиц", "Digital signature of individuals",
	},
	{"cert.policy.individual-authentication", "Жеке тұлғалардың аутентификациясы", "Аутентификация физических лиц", "Authentication of individuals"},

	{"cert.validity.unknown", "Сертификаттың мерзімі белгісіз", "Срок действия сертификата неизвестен", "Certificate validity unknown"},
	{
		"cert.validity.not-yet-valid", "Сертификаттың мерзімі әлі басталған жоқ",
		"Срок действия сертификата ещё не наступил", "Certificate is not yet valid",
	},
	{"cert.validity.valid", "Сертификат жарамды", "Сертификат действителен", "Certificate is valid"},
	{"cert.validity.expired", "Сертификаттың мерзімі аяқталған", "Срок действия сертификата истёк", "Certificate has expired"},

	{"cert.algorithm.other", "Белгісіз алгоритм", "Неизвестный алгоритм", "Unknown algorithm"},
	{"cert.algorithm.rsa", "RSA", "RSA", "RSA"},
	{"cert.algorithm.gost-34.10-2015", "МЕМСТ 34.10-2015", "ГОСТ 34.10-2015", "GOST 34.10-2015"},
	{"cert.algorithm.gost-34.310-2004", "МЕМСТ 34.310-2004", "ГОСТ 34.310-2004", "GOST 34.310-2004"},
	{"cert.algorithm.gost-r-34.10-2001", "ГОСТ Р 34.10-2001", "ГОСТ Р 34.10-2001", "GOST R 34.10-2001"},
	{"cert.algorithm.gost-r-34.10-2012", "ГОСТ Р 34.10-2012", "ГОСТ Р 34.10-2012", "GOST R 34.10-2012"},
	{"cert.algorithm.ecdsa", "ECDSA", "ECDSA", "ECDSA"},

	{"cert.field.purpose", "Мақсаты", "Назначение", "Purpose"},
	{"cert.field.holder", "Иесі", "Владелец", "Holder"},
	{"cert.field.roles", "Өкілеттіктері", "Полномочия", "Roles"},
	{"cert.field.name", "Аты-жөні", "ФИО", "Full name"},
	{"cert.field.iin", "ЖСН", "ИИН", "IIN"},
	{"cert.field.bin", "БСН", "БИН", "BIN"},
	{"cert.field.organisation", "Ұйым", "Организация", "Organisation"},
	{"cert.field.malformed", "12 цифрдан тұрмайды", "не 12 цифр", "not 12 digits"},

	{"cert.nca", "ҚР ҰКО сертификаты", "Сертификат НУЦ РК", "Certificate of Kazakhstan's National CA"},
}
