package words

// registering is of telling applications of the PKCS#11 module.
var registering = []entry{
	{"register.none", "тіркелмеген", "не зарегистрирован", "not registered"},
	{"register.failed", "қате", "ошибка", "failed"},
	{"error.nomodule", "PKCS#11 модулі орнатылмаған", "модуль PKCS#11 не установлен", "the PKCS#11 module is not installed"},
	{
		"hint.nomodule", "kaztoken-pkcs11 дестесін орнатыңыз немесе модульдің файлын көрсетіңіз: --module ФАЙЛ",
		"установите пакет kaztoken-pkcs11 или укажите файл модуля: --module ФАЙЛ",
		"install the package kaztoken-pkcs11, or name the module's file: --module FILE",
	},
}
